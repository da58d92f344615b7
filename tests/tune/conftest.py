"""Tiny models for the tests of tuning."""

import pytest

from tiny_language import save_language_model


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """Path of a tiny model of a kind."""
    made = {}

    def find(kind):
        if kind not in made:
            made[kind] = str(save_language_model(tmp_path_factory.mktemp(f"tune-{kind}"), kind))
        return made[kind]

    return find
