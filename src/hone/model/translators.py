"""Models that translate between many languages: which they read and write stands in tokens that their tokenizer and their decoder begin with.

NLLB, M2M-100 and mBART (https://arxiv.org/abs/2207.04672, https://arxiv.org/abs/2010.11125, https://arxiv.org/abs/2008.00401).
Asked without, they answer in any language. The tokenizer and the generation configuration hold them, as in transformers, so a
saved model says by itself what it translates.
"""

import json
import re
from typing import Any

from hone.catalogue.locate import ModelFolder
from hone.core.errors import Usage

__all__ = ["is_told_by_tokenizer", "name_languages", "opens_with"]

_CODE = re.compile(r"[a-z]{2,3}_[A-Z][A-Za-z]+")  # eng_Latn, en_XX
_SHOWN = 12


def name_languages(tokenizer: Any, folder: ModelFolder) -> None:
    """Have a translator's tokenizer read and write the languages that stand behind the model's name; nothing for other models.

    Raises:
        Usage: it knows no such language, was told none and needs them, or translates between none.
    """
    if not isinstance(getattr(type(tokenizer), "src_lang", None), property):
        if folder.languages is not None:
            raise Usage(
                f"'{folder.name}' names languages, and this model has no tokens for any. Leave out what stands behind the @."
            )
        return
    if folder.languages is not None:
        codes = _codes(tokenizer)
        tokenizer.src_lang, tokenizer.tgt_lang = (_known(code, codes, folder) for code in folder.languages)
    elif getattr(tokenizer, "tgt_lang", None) is None and not _is_forced(folder):
        codes = _codes(tokenizer)
        raise Usage(
            f"'{folder.name}' translates between {len(codes)} languages and was told none. Write from which and into which behind its "
            f"name, such as {folder.name}@{codes[0]}:{codes[1]}."
        )


def is_told_by_tokenizer(folder: ModelFolder) -> bool:
    """Whether a model's tokenizer is to say what its answers begin with: its name says it, or the tokenizer's file alone."""
    return folder.languages is not None or (bool(_said(folder, "tokenizer_config.json", "tgt_lang")) and not _is_forced(folder))


def opens_with(tokenizer: Any) -> tuple[int | None, int | None]:
    """The token that starts a translator's decoder and the one forced behind it, each None where the model's own stays."""
    if getattr(tokenizer, "tgt_lang", None) is None:
        return None, None
    ids = tokenizer(text_target="")["input_ids"]
    begins_with_end = ids[0] == tokenizer.eos_token_id  # mBART of 2020: there the target's language starts the decoder
    return (ids[-1], None) if begins_with_end else (None, ids[0])


def _codes(tokenizer: Any) -> list[str]:
    listed = getattr(tokenizer, "lang_code_to_id", None) or [
        token for token in tokenizer.all_special_tokens if _CODE.fullmatch(token)
    ]
    return sorted(listed)


def _known(code: str, codes: list[str], folder: ModelFolder) -> str:
    """The code as the tokenizer writes it, from itself or from its first part where that is of one language only."""
    alike = [one for one in codes if code.lower() in (one.lower(), one.lower().split("_")[0])]
    if len(alike) == 1:
        return alike[0]
    near = alike or [one for one in codes if one[0] == code[0].lower()] or codes
    more = f" and {len(near) - _SHOWN} more" if len(near) > _SHOWN else ""
    what = f"has several languages '{code}'" if alike else f"knows no language '{code}'"
    raise Usage(f"'{folder.name}' {what}; choose among {', '.join(near[:_SHOWN])}{more}, written as here.")


def _is_forced(folder: ModelFolder) -> bool:
    """Whether the model's own configuration says what its answers begin with."""
    return any(_said(folder, name, "forced_bos_token_id") is not None for name in ("generation_config.json", "config.json"))


def _said(folder: ModelFolder, file: str, key: str) -> Any:
    path = folder.path / file
    return json.loads(path.read_text(encoding="utf-8")).get(key) if path.is_file() else None
