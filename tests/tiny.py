"""Tiny random encoders in the real file layout, made by the tests that need them; one takes some 50 ms.

A file of its own, since every folder of tests may have a `conftest` and only one of them can be imported by that name.
"""

import warnings

__all__ = ["FAMILIES", "LABELS", "SENTENCES", "save_encoder", "save_tokenizer", "tiny_config"]

FAMILIES = ("bert", "roberta", "distilbert", "modernbert", "deberta-v2", "electra")
LABELS = ("late", "lost", "refund")
SENTENCES = (
    "my parcel never came and nobody answers the phone",
    "the order is three days late",
    "please refund the second payment, it was taken twice",
    "where is my package? the tracking page says nothing",
    "I was charged for an item that I sent back last week",
    "the driver left the box in the rain, all is wet",
    "delivery was promised for monday and today is friday",
    "your courier lost my letter",
    "can I have my money back",
    "it has not moved from the depot since tuesday",
    "the invoice shows a wrong amount, correct it please",
    "still waiting!",
)
_SIZES = {"hidden": 32, "layers": 2, "heads": 2, "inner": 64, "positions": 64}


def save_tokenizer(folder, *, pad_id=0, model_max_length=64):
    """Train a WordPiece tokenizer of some 200 pieces on `SENTENCES` and write it as transformers does; returns it."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    special.insert(pad_id, "[PAD]")
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(
        SENTENCES, trainers.WordPieceTrainer(vocab_size=200, special_tokens=special, show_progress=False)
    )
    ends = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        mask_token="[MASK]",
        model_max_length=model_max_length,
    )
    fast.save_pretrained(folder)
    return fast


def tiny_config(family, *, vocabulary, pad_id, positions=_SIZES["positions"]):
    """A transformers configuration of two layers and width 32."""
    import transformers

    usual = {
        "vocab_size": vocabulary,
        "hidden_size": _SIZES["hidden"],
        "num_hidden_layers": _SIZES["layers"],
        "num_attention_heads": _SIZES["heads"],
        "intermediate_size": _SIZES["inner"],
        "max_position_embeddings": positions,
        "pad_token_id": pad_id,
    }
    special = {
        "distilbert": {
            "vocab_size": vocabulary,
            "dim": _SIZES["hidden"],
            "n_layers": _SIZES["layers"],
            "n_heads": _SIZES["heads"],
            "hidden_dim": _SIZES["inner"],
            "max_position_embeddings": positions,
            "pad_token_id": pad_id,
        },
        "electra": {**usual, "embedding_size": 16},
        "modernbert": {**usual, "cls_token_id": 1, "sep_token_id": 2, "bos_token_id": 1, "eos_token_id": 2},
        "deberta-v2": {  # the options of the published deberta-v3 models
            **usual,
            "relative_attention": True,
            "position_buckets": 16,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_biased_input": False,
        },
    }
    return transformers.AutoConfig.for_model(family, **special.get(family, usual))


def save_encoder(folder, family="bert", *, seed=0, positions=_SIZES["positions"], model_max_length=None):
    """Write a tiny random encoder of a family, weights and tokenizer, into a folder; returns the folder."""
    import torch
    from transformers import AutoModel
    from transformers.utils import logging as their_logging

    their_logging.disable_progress_bar()
    pad_id = 1 if family == "roberta" else 0
    tokenizer = save_tokenizer(folder, pad_id=pad_id, model_max_length=model_max_length or positions)
    config = tiny_config(
        family, vocabulary=len(tokenizer), pad_id=pad_id, positions=positions + (2 if family == "roberta" else 0)
    )
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        net = AutoModel.from_config(config)
        with torch.no_grad():
            for parameter in net.parameters():  # weights of 0.02 make all sentences nearly alike, and zero biases hide mistakes
                parameter.add_(torch.randn_like(parameter) * 0.1)
        net.save_pretrained(folder)
    return folder
