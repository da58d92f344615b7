"""A folder of documents and the tiny encoder, loaded once."""

import pytest
from library import write_library


@pytest.fixture(scope="session")
def encoder(encoder_path):
    """The tiny BERT as an encoder, fp32 on the CPU; it reads 64 tokens."""
    import torch

    from hone.catalogue import locate_model
    from hone.model import load_encoder

    return load_encoder(locate_model(str(encoder_path("bert"))), precision="fp32", device=torch.device("cpu"))


@pytest.fixture
def library(tmp_path):
    """A folder with one file of each kind."""
    return write_library(tmp_path / "library")


@pytest.fixture
def small():
    """Settings for passages that the tiny encoder can read."""
    from hone.retrieve import ChunkSettings, IndexSettings

    return IndexSettings(chunks=ChunkSettings(tokens=24))
