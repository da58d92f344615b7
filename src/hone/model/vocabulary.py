"""A tokenizer of one's own: byte-level BPE trained on texts, with the special tokens that a family's objective needs.

Bytes, so that no text is unknown and every text comes back as it was; digits stand alone, so that numbers are
spelled out alike. Source of the method: Sennrich 2016, https://arxiv.org/abs/1508.07909, over bytes as in GPT-2.
"""

from collections.abc import Iterable
from typing import Any

from hone.core.errors import BadData
from hone.model.loading import Family

__all__ = ["SENTINELS", "train_tokenizer"]

SENTINELS = 100
"""As many gaps as T5's tokenizer can name."""

_SPECIAL: dict[Family, tuple[str, ...]] = {
    "decoder": ("<|end|>", "<|pad|>"),
    "encoder": ("[PAD]", "[CLS]", "[SEP]", "[MASK]"),
    "encoder-decoder": ("<pad>", "</s>", *(f"<extra_id_{index}>" for index in range(SENTINELS))),
}
_NAMES: dict[Family, dict[str, str]] = {
    "decoder": {"eos_token": "<|end|>", "bos_token": "<|end|>", "pad_token": "<|pad|>"},
    "encoder": {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"},
    "encoder-decoder": {"pad_token": "<pad>", "eos_token": "</s>"},
}
_FRAMES: dict[Family, str] = {"encoder": "[CLS] $A [SEP]", "encoder-decoder": "$A </s>"}
_BYTES = 256


def train_tokenizer(texts: Iterable[str], *, words: int, family: Family, context: int) -> Any:
    """A fast transformers tokenizer with at most `words` entries, special tokens and single bytes counted.

    Args:
        texts: read once. context: the longest sequence, in tokens, that its model reads.
    Raises:
        BadData: the texts are empty, or `words` leaves no room beside bytes and special tokens.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = _SPECIAL[family]
    if words < len(special) + _BYTES + 1:
        raise BadData(
            f"A vocabulary of {words:,} has no room for words beside {_BYTES} bytes and {len(special)} special tokens. "
            f"Give at least {len(special) + _BYTES + 1:,}."
        )
    tokenizer: Any = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=words,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    if tokenizer.get_vocab_size() == len(special) + _BYTES:
        raise BadData("The texts hold nothing that a tokenizer could learn: no two letters stand side by side twice. Add text.")
    if family in _FRAMES:
        frame = _FRAMES[family]
        ends = [(word, tokenizer.token_to_id(word)) for word in frame.split() if word != "$A"]
        pair = frame + (" $B [SEP]" if family == "encoder" else " $B </s>")
        tokenizer.post_processor = processors.TemplateProcessing(single=frame, pair=pair, special_tokens=ends)
    extra = {"additional_special_tokens": list(special[2:])} if family == "encoder-decoder" else {}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=context, clean_up_tokenization_spaces=False, **_NAMES[family], **extra
    )
