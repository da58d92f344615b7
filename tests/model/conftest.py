"""Models for the tests of this folder, each made once."""

import pytest

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
