"""A catalogue entry as transformers' configuration: enough to make its network without weights, and to count what it takes.

For every architecture of the catalogue a test holds the parameters of what is made against those that the entry states.
"""

from typing import Any

from hone.catalogue.records import CatalogueEntry

__all__ = ["configuration_of"]

_KINDS = {"t5-gated": "t5", "roberta": "xlm-roberta"}


def configuration_of(entry: CatalogueEntry) -> Any:
    """The configuration of the entry's numbers."""
    from transformers import AutoConfig

    kind = _KINDS.get(entry.architecture, entry.architecture)
    return AutoConfig.for_model(kind, **_settings(entry))


def _settings(entry: CatalogueEntry) -> dict[str, object]:
    per = {"encoder": _encoders, "decoder": _decoders, "encoder-decoder": _two_halves}[entry.family](entry)
    usual = _usual(entry) | _groups(entry)
    tied = {} if entry.tied is None else {"tie_word_embeddings": entry.tied}
    window = {"max_position_embeddings": entry.context} | ({"sliding_window": entry.window} if entry.window else {})
    return per.get(entry.architecture, usual | tied | window)


def _usual(entry: CatalogueEntry) -> dict[str, Any]:
    shape = entry.shape
    return {
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.feed_forward,
        "pad_token_id": 0,
    }


def _groups(entry: CatalogueEntry) -> dict[str, Any]:
    shape = entry.shape
    groups = {"num_key_value_heads": shape.key_value_heads or shape.heads}
    return groups | ({"head_dim": shape.head_width} if shape.head_width else {})


def _encoders(entry: CatalogueEntry) -> dict[str, dict[str, Any]]:
    shape, usual = entry.shape, _usual(entry)
    offset = {"max_position_embeddings": max(entry.context or 0, 512) + 2, "type_vocab_size": 1, "pad_token_id": 1}
    return {
        "bert": usual | {"max_position_embeddings": 512},
        "roberta": usual | offset,
        "longformer": usual | offset | {"attention_window": 512},
        "mpnet": usual | {"max_position_embeddings": 514, "pad_token_id": 1},
        "distilbert": {
            "vocab_size": shape.vocabulary,
            "dim": shape.hidden,
            "n_layers": shape.layers,
            "n_heads": shape.heads,
            "hidden_dim": shape.feed_forward,
        },
        "albert": usual | {"embedding_size": shape.embedding},
        "electra": usual | {"embedding_size": shape.embedding},
        "deberta-v2": usual
        | {
            "relative_attention": True,
            "position_buckets": 256,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_biased_input": False,
            "type_vocab_size": 0,
        },
        "modernbert": usual,
        "eurobert": usual | _groups(entry),
    }


def _decoders(entry: CatalogueEntry) -> dict[str, dict[str, Any]]:
    shape, usual = entry.shape, _usual(entry)
    words = {"vocab_size": shape.vocabulary}
    gpt2 = words | {"n_embd": shape.hidden, "n_layer": shape.layers, "n_head": shape.heads}
    tied = {} if entry.tied is None else {"tie_word_embeddings": entry.tied}
    return {
        "gpt2": gpt2,
        "gptj": gpt2 | {"n_positions": 2048, "rotary_dim": 64, "tie_word_embeddings": False},
        "gpt_neo": words
        | {
            "hidden_size": shape.hidden,
            "num_layers": shape.layers,
            "num_heads": shape.heads,
            "attention_types": [[["global", "local"], shape.layers // 2]],
        },
        "gpt_neox": usual | {"tie_word_embeddings": False},
        "opt": words
        | {
            "hidden_size": shape.hidden,
            "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads,
            "ffn_dim": shape.feed_forward,
            "word_embed_proj_dim": shape.hidden,
        },
        "bloom": words | {"hidden_size": shape.hidden, "n_layer": shape.layers, "n_head": shape.heads},
        "falcon": usual | tied | {"multi_query": True, "new_decoder_architecture": False, "parallel_attn": True, "bias": False},
        "phi": usual,
        "mixtral": usual | _groups(entry) | {"num_local_experts": shape.experts, "num_experts_per_tok": shape.experts_used},
    }


def _two_halves(entry: CatalogueEntry) -> dict[str, dict[str, Any]]:
    shape = entry.shape
    halves = {
        "d_model": shape.hidden,
        "encoder_layers": shape.layers,
        "decoder_layers": shape.decoder_layers or shape.layers,
        "encoder_attention_heads": shape.heads,
        "decoder_attention_heads": shape.heads,
        "encoder_ffn_dim": shape.feed_forward,
        "decoder_ffn_dim": shape.feed_forward,
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": entry.context,
    }
    t5 = {
        "d_model": shape.hidden,
        "num_layers": shape.layers,
        "num_decoder_layers": shape.decoder_layers or shape.layers,
        "num_heads": shape.heads,
        "d_kv": shape.head_width,
        "d_ff": shape.feed_forward,
        "vocab_size": shape.vocabulary,
        "decoder_start_token_id": 0,
    }
    gated = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": bool(entry.tied)}
    return {
        **dict.fromkeys(("bart", "mbart", "pegasus", "m2m_100"), halves),
        "t5": t5,
        "t5-gated": t5 | gated,
        "mt5": t5 | gated,
        "led": halves | {"max_encoder_position_embeddings": 16384, "max_decoder_position_embeddings": 1024},
    }
