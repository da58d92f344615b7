"""Models for the tests of this folder, each made once."""

import pytest

from hone.model import packing
from tiny_language import saved_once


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Folder of a tiny language model of a kind."""
    return saved_once(tmp_path_factory)


@pytest.fixture(params=[False, True], ids=["as long as they are", "lengthened"])
def lengths(request, monkeypatch):
    """Passes as they are in fp32, and with tokens behind the last, as they are in bf16 on a CPU."""
    if request.param:
        monkeypatch.setattr(packing, "common_size", lambda rows, device: rows + 3)
