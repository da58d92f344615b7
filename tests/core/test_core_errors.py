"""Errors give the cure: the near name, the extra to install, the exit code."""

import pytest

from hone.core import errors
from hone.core.errors import Failed, HoneError, MissingPackage, did_you_mean, need

KNOWN = ("ewc", "kl", "l2sp", "none")


def test_a_near_name_is_offered_with_all_that_is_known():
    assert did_you_mean("ewcc", KNOWN) == "Did you mean 'ewc'? Known: ewc, kl, l2sp, none."


def test_a_name_like_no_other_gets_no_guess():
    assert did_you_mean("zzzzzz", KNOWN) == "Known: ewc, kl, l2sp, none."


def test_what_is_known_is_sorted_whatever_order_it_came_in():
    assert did_you_mean("x", reversed(KNOWN)) == did_you_mean("x", KNOWN)


def test_an_installed_package_is_handed_over():
    assert need("json", extra="none").dumps([1]) == "[1]"


def test_a_submodule_of_an_installed_package_is_handed_over():
    assert need("json.decoder", extra="none").JSONDecoder


def test_a_missing_package_names_its_extra_and_the_command():
    with pytest.raises(MissingPackage, match=r"'no_such_package_x' is not installed.*pip install 'hone-lm\[harness\]'"):
        need("no_such_package_x", extra="harness")


def test_a_missing_submodule_of_a_missing_package_is_the_same_mistake():
    with pytest.raises(MissingPackage):
        need("no_such_package_x.part", extra="harness")


def test_a_package_that_is_there_but_broken_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "broken_package_x.py").write_text("import no_such_dependency_x")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_dependency_x"):
        need("broken_package_x", extra="harness")


def test_a_users_mistake_exits_with_3_and_a_failure_while_running_with_1():
    kinds = [kind for kind in (getattr(errors, name) for name in errors.__all__) if isinstance(kind, type)]
    assert {Failed, errors.Usage, errors.BadData} < set(kinds)
    for kind in kinds:
        assert issubclass(kind, HoneError)
        assert kind.exit_code == (1 if kind is Failed else 3)
