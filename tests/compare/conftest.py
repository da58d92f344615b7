"""What the tests of the comparison share."""

import gc

import pytest

from hone.catalogue import locate_model
from hone.model import Encoder, load_encoder


@pytest.fixture(scope="session")
def tiny_encoder(encoder_path) -> Encoder:
    """The tiny BERT, in fp32. What is imported by now is left out of garbage collections, which a race makes before each fit."""
    encoder = load_encoder(locate_model(str(encoder_path())), precision="fp32")
    gc.collect()
    gc.freeze()
    return encoder
