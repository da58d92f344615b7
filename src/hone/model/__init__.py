"""Stage 2 of 6: CHOOSE, a base model. Takes a checked folder. Gives an encoder of texts, a classifier to tune, an engine that scores and writes.

The only folder that talks to transformers (with `hone.train` where training needs it). Next: `hone.train`.
"""

from hone.model.answer_cache import known_tokens
from hone.model.arithmetic import Arithmetic, Precision, autocast, plain_autocast, product_dtype, resolve_precision
from hone.model.backend import Backend, LocalBackend, load_backend
from hone.model.batches import pad, token_batches
from hone.model.blank import Shape, choose_shape, usual_words, write_blank_model
from hone.model.card import CardFacts, CardScore, agreed_licence, card_metadata, energy_line, metadata_of
from hone.model.classifier import (
    HeadedNetwork,
    PooledClassifier,
    TokenClassifier,
    head_scale,
    load_classifier,
    load_head,
    save_head,
)
from hone.model.configuration import configuration_of
from hone.model.dry import DryHead, DryHeld, cut_depth, cut_words, dry_network, outline, random_network, without_numbers
from hone.model.encoder import EVALUATION_TOKENS, Encoder, Pooling, Vectors, load_encoder, pool, write_pooling
from hone.model.four_bits import weights_of
from hone.model.generate import Generator
from hone.model.generated import Generated
from hone.model.hub_upload import send_folder
from hone.model.language import Head, LanguageModel, Seq2SeqModel, TextModel, load_language_model, load_text_model
from hone.model.loading import Family, family, load_backbone, load_tokenizer, quiet_transformers, read_config
from hone.model.network import Network, Rows
from hone.model.reader import TextReader, load_reader
from hone.model.remote import RemoteBackend
from hone.model.remote_settings import Api, RemoteSettings, for_a_server_only, is_behind_server, is_elsewhere, server_settings
from hone.model.render import PLAIN_TEMPLATE, Rendered, Renderer
from hone.model.sampling import Sampling
from hone.model.score import Likelihood, Scorer
from hone.model.spending import Price, Spent, told_spent
from hone.model.thoughts import tell_thoughts, without_thoughts
from hone.model.vllm_engine import VllmBackend
from hone.model.vocabulary import train_tokenizer

__all__ = [
    "EVALUATION_TOKENS",
    "PLAIN_TEMPLATE",
    "Api",
    "Arithmetic",
    "Backend",
    "CardFacts",
    "CardScore",
    "DryHead",
    "DryHeld",
    "Encoder",
    "Family",
    "Generated",
    "Generator",
    "Head",
    "HeadedNetwork",
    "LanguageModel",
    "Likelihood",
    "LocalBackend",
    "Network",
    "PooledClassifier",
    "Pooling",
    "Precision",
    "Price",
    "RemoteBackend",
    "RemoteSettings",
    "Rendered",
    "Renderer",
    "Rows",
    "Sampling",
    "Scorer",
    "Seq2SeqModel",
    "Shape",
    "Spent",
    "TextModel",
    "TextReader",
    "TokenClassifier",
    "Vectors",
    "VllmBackend",
    "agreed_licence",
    "autocast",
    "card_metadata",
    "choose_shape",
    "configuration_of",
    "cut_depth",
    "cut_words",
    "dry_network",
    "energy_line",
    "family",
    "for_a_server_only",
    "head_scale",
    "is_behind_server",
    "is_elsewhere",
    "known_tokens",
    "load_backbone",
    "load_backend",
    "load_classifier",
    "load_encoder",
    "load_head",
    "load_language_model",
    "load_reader",
    "load_text_model",
    "load_tokenizer",
    "metadata_of",
    "outline",
    "pad",
    "plain_autocast",
    "pool",
    "product_dtype",
    "quiet_transformers",
    "random_network",
    "read_config",
    "resolve_precision",
    "save_head",
    "send_folder",
    "server_settings",
    "tell_thoughts",
    "token_batches",
    "told_spent",
    "train_tokenizer",
    "usual_words",
    "weights_of",
    "without_numbers",
    "without_thoughts",
    "write_blank_model",
    "write_pooling",
]
