"""Models for the tests of this folder, each made once."""

import pytest

from hone.model import packing
from tiny_language import save_language_model


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Folder of a tiny language model of a kind."""
    made = {}

    def find(kind):
        if kind not in made:
            made[kind] = save_language_model(tmp_path_factory.mktemp(kind), kind)
        return made[kind]

    return find


@pytest.fixture(params=[False, True], ids=["as long as they are", "lengthened"])
def lengths(request, monkeypatch):
    """Passes as they are in fp32, and with tokens behind the last, as they are in bf16 on a CPU."""
    if request.param:
        monkeypatch.setattr(packing, "common_size", lambda rows, device: rows + 3)
