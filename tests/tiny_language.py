"""Tiny random language models of every family, in the real file layout, for the tests that train them."""

import re
import warnings
from functools import cache

from tiny import SENTENCES

__all__ = ["DECODERS", "ENCODER_DECODERS", "MASKED", "save_language_model", "saved_once", "tiny_tokenizer"]

DECODERS = ("llama", "qwen2", "gpt2")
ENCODER_DECODERS = ("t5", "bart")
MASKED = ("bert", "modernbert")
_WORDS = re.findall(r"\w+|[^\w\s]", " ".join((*SENTENCES, "User: Assistant: it is late, refund the money")))


def saved_once(tmp_path_factory):
    """What gives the folder of a tiny language model of a kind, and writes it the first time."""
    return cache(lambda kind: save_language_model(tmp_path_factory.mktemp(kind), kind))


@cache
def tiny_tokenizer():
    """A word-level tokenizer with all special tokens that any objective needs; unknown words become [UNK]."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "<s>", "</s>", "[UNK]", "[MASK]"]
    sentinels = [f"<extra_id_{index}>" for index in range(12)]
    words = [*special, *dict.fromkeys(_WORDS), *sentinels]
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="[UNK]",
        mask_token="[MASK]",
        cls_token="<s>",
        sep_token="</s>",
        additional_special_tokens=sentinels,
        model_max_length=64,
    )


def _config(kind):
    import transformers

    size = len(tiny_tokenizer())
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    usual = {
        "vocab_size": size,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "max_position_embeddings": 64,
        **special,
    }
    calm = {"attention_dropout": 0.0, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    bart = {
        f"{part}_{name}": value
        for part in ("encoder", "decoder")
        for name, value in (("layers", 2), ("attention_heads", 4), ("ffn_dim", 48))
    }
    made = {
        "llama": lambda: transformers.LlamaConfig(**usual, num_key_value_heads=2),
        "qwen2": lambda: transformers.Qwen2Config(**usual, num_key_value_heads=2, tie_word_embeddings=True),
        "gpt2": lambda: transformers.GPT2Config(
            vocab_size=size,
            n_embd=32,
            n_layer=2,
            n_head=4,
            n_positions=64,
            attn_pdrop=0.0,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            **special,
        ),
        "mixtral": lambda: transformers.MixtralConfig(
            **usual,
            num_key_value_heads=2,
            num_local_experts=4,
            num_experts_per_tok=2,
            output_router_logits=True,
            router_aux_loss_coef=0.5,
        ),
        "bloom": lambda: transformers.BloomConfig(vocab_size=size, hidden_size=32, n_layer=2, n_head=4, **special),
        "gemma2": lambda: transformers.Gemma2Config(**usual, num_key_value_heads=2, head_dim=8, sliding_window=5),
        "t5": lambda: transformers.T5Config(
            vocab_size=size,
            d_model=32,
            d_kv=8,
            d_ff=48,
            num_layers=2,
            num_heads=4,
            dropout_rate=0.0,
            decoder_start_token_id=0,
            **special,
        ),
        "bart": lambda: transformers.BartConfig(
            vocab_size=size,
            d_model=32,
            max_position_embeddings=64,
            dropout=0.0,
            decoder_start_token_id=2,
            forced_eos_token_id=2,
            **bart,
            **special,
        ),
        "bert": lambda: transformers.BertConfig(**usual, **calm),
        "modernbert": lambda: transformers.ModernBertConfig(
            **usual, local_attention=8, global_attn_every_n_layers=2, cls_token_id=1, sep_token_id=2
        ),
    }
    return made[kind]()


def save_language_model(folder, kind, *, seed=0):
    """Write a random model of two layers and width 32, with its tokenizer; returns the folder."""
    import torch
    import transformers

    torch.manual_seed(seed)
    name = "Seq2SeqLM" if kind in ENCODER_DECODERS else "MaskedLM" if kind in MASKED else "CausalLM"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = getattr(transformers, f"AutoModelFor{name}").from_config(_config(kind))
        for parameter in net.parameters():  # random models of this size say almost nothing: make their answers differ
            if parameter.ndim == 2 and kind != "t5":
                parameter.data *= 4
        net.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder
