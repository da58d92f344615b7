"""Stage 2 of 6: CHOOSE, a base model. Takes a name. Gives a checked folder, an encoder of texts, a classifier to tune.

The only folder that talks to transformers (with `hone.train` where training needs it). Next: `hone.train`.
"""

from hone.model.arithmetic import Precision, autocast, resolve_precision
from hone.model.batches import pad, token_batches
from hone.model.classifier import PooledClassifier, load_classifier, load_head, save_head
from hone.model.encoder import EVALUATION_TOKENS, Encoder, Pooling, Vectors, load_encoder, pool, write_pooling
from hone.model.loading import load_backbone, load_tokenizer, quiet_transformers
from hone.model.locate import STARTERS, ModelFolder, locate_model
from hone.model.reader import TextReader, load_reader

__all__ = [
    "EVALUATION_TOKENS",
    "STARTERS",
    "Encoder",
    "ModelFolder",
    "PooledClassifier",
    "Pooling",
    "Precision",
    "TextReader",
    "Vectors",
    "autocast",
    "load_backbone",
    "load_classifier",
    "load_encoder",
    "load_head",
    "load_reader",
    "load_tokenizer",
    "locate_model",
    "pad",
    "pool",
    "quiet_transformers",
    "resolve_precision",
    "save_head",
    "token_batches",
    "write_pooling",
]
