"""What transformers builds from a shape in the catalogue: the network on the meta device, without memory."""

from hone.model.catalogue.records import CatalogueEntry


def network_of(entry: CatalogueEntry):
    """The network that transformers makes of the entry's numbers."""
    import torch
    import transformers

    make = transformers.AutoModel if entry.family == "encoder" else transformers.AutoModelForCausalLM
    make = transformers.AutoModelForSeq2SeqLM if entry.family == "encoder-decoder" else make
    kind = {"t5-gated": "t5", "roberta": "xlm-roberta"}.get(entry.architecture, entry.architecture)
    config = transformers.AutoConfig.for_model(kind, **_settings(entry))
    with torch.device("meta"):
        return make.from_config(config)


def parameters_of(entry: CatalogueEntry) -> int:
    """Parameters of that network, tied ones once; built with few layers, because each further one adds as many."""
    shape = entry.shape
    deep = {"layers": shape.layers, "decoder_layers": shape.decoder_layers or shape.layers}
    start = _count(entry, layers=2, decoder_layers=2)
    if entry.family != "encoder-decoder":
        return start + (_count(entry, layers=4, decoder_layers=2) - start) * (deep["layers"] - 2) // 2
    of_encoder = _count(entry, layers=3, decoder_layers=2) - start
    of_decoder = _count(entry, layers=2, decoder_layers=3) - start
    return start + of_encoder * (deep["layers"] - 2) + of_decoder * (deep["decoder_layers"] - 2)


def _count(entry: CatalogueEntry, **layers: int) -> int:
    few = entry.model_copy(update={"shape": entry.shape.model_copy(update=layers)})
    names = network_of(few).named_parameters()
    counted = sum(parameter.numel() for name, parameter in names if not _is_computed(entry, name))
    is_untied_t5 = entry.architecture in ("t5-gated", "mt5") and not entry.tied
    return counted + (entry.shape.vocabulary * entry.shape.hidden if is_untied_t5 else 0)


def _is_computed(entry: CatalogueEntry, name: str) -> bool:
    """Pegasus' positions are sines, which transformers holds as parameters."""
    return entry.architecture == "pegasus" and "embed_positions" in name


def _settings(entry: CatalogueEntry) -> dict[str, object]:
    shape = entry.shape
    usual = {
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.feed_forward,
        "pad_token_id": 0,
    }
    groups = {"num_key_value_heads": shape.key_value_heads or shape.heads}
    if shape.head_width:
        groups["head_dim"] = shape.head_width
    tied = {} if entry.tied is None else {"tie_word_embeddings": entry.tied}
    window = {"max_position_embeddings": entry.context} | ({"sliding_window": entry.window} if entry.window else {})
    offset = {"max_position_embeddings": max(entry.context or 0, 512) + 2, "type_vocab_size": 1}
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
    }
    gpt2 = {"n_embd": shape.hidden, "n_layer": shape.layers, "n_head": shape.heads, "vocab_size": shape.vocabulary}
    gated = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": bool(entry.tied)}
    per = {
        "bert": usual | {"max_position_embeddings": 512},
        "roberta": usual | offset,
        "longformer": usual | offset | {"attention_window": 512},
        "mpnet": usual | {"max_position_embeddings": 514},
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
        "eurobert": usual | groups,
        "gpt2": gpt2,
        "gptj": gpt2 | {"n_positions": 2048, "rotary_dim": 64, "tie_word_embeddings": False},
        "gpt_neo": {
            "vocab_size": shape.vocabulary,
            "hidden_size": shape.hidden,
            "num_layers": shape.layers,
            "num_heads": shape.heads,
            "attention_types": [[["global", "local"], shape.layers // 2]],
        },
        "gpt_neox": usual | {"tie_word_embeddings": False},
        "opt": {
            "vocab_size": shape.vocabulary,
            "hidden_size": shape.hidden,
            "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads,
            "ffn_dim": shape.feed_forward,
            "word_embed_proj_dim": shape.hidden,
        },
        "bloom": {"vocab_size": shape.vocabulary, "hidden_size": shape.hidden, "n_layer": shape.layers, "n_head": shape.heads},
        "falcon": usual | tied | {"multi_query": True, "new_decoder_architecture": False, "parallel_attn": True, "bias": False},
        "phi": usual,
        "mixtral": usual | groups | {"num_local_experts": shape.experts, "num_experts_per_tok": shape.experts_used},
        "t5": t5,
        "t5-gated": t5 | gated,
        "mt5": t5 | gated,
        "bart": halves,
        "mbart": halves,
        "pegasus": halves,
        "m2m_100": halves,
        "led": halves | {"max_encoder_position_embeddings": 16384, "max_decoder_position_embeddings": 1024},
    }
    return per.get(entry.architecture, usual | groups | tied | window)
