"""Which shape of task a source's rows have, for a model that answers in words: the columns' names tell.

The kind says what a row holds; the shape says in which words to ask. Prompts and completions may be anything, so it is
their columns that tell a summary from a translation.
"""

import re
from collections.abc import Sequence

from hone.task.kinds import TaskShape
from hone.task.layout import Layout
from hone.task.profile import name_words

__all__ = ["shape_of"]

_BY_KIND: dict[str, TaskShape] = {
    "classify": "classification",
    "answers": "question-answering",
    "choice": "multiple-choice",
}
_SUMMARIES = frozenset({"summary", "summaries", "highlights", "tldr", "headline", "abstract"})
_QUESTIONS = frozenset({"question", "query"})
_ANSWERS = frozenset({"answer", "answers", "response"})
_INSTRUCTIONS = frozenset({"instruction", "definition"})
_TELLS_LANGUAGE = frozenset(
    {"source_lang", "target_lang", "src_lang", "tgt_lang", "source_language", "target_language", "lang_pair", "language_pair"}
)
_TRANSLATIONS = frozenset({"translation", "translated", "translations"})
# Codes of the most spoken and most translated languages; those that are English words too say something only beside one that is not.
_CODES = frozenset(
    ("ar", "bg", "bn", "cs", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "gu", "he", "hi", "hr", "hu", "ja", "ka", "kk", "km",
     "ko", "lt", "lv", "mk", "ml", "mn", "mr", "ms", "my", "ne", "nl", "pa", "pl", "ps", "pt", "ro", "ru", "sk", "sl", "sq", "sr", "sv",
     "sw", "ta", "te", "th", "tl", "tr", "uk", "ur", "uz", "vi", "zh", "ara", "ces", "deu", "ell", "eng", "fin", "fra", "hin", "hun",
     "ind", "ita", "jpn", "kor", "nld", "pol", "por", "ron", "rus", "spa", "swe", "tur", "ukr", "vie", "zho")
)  # fmt: skip
_CODES_AND_WORDS = frozenset(("as", "be", "id", "is", "it", "no", "or"))
_NAMES = frozenset(
    ("arabic", "bengali", "bulgarian", "chinese", "croatian", "czech", "danish", "dutch", "english", "estonian", "finnish", "french",
     "german", "greek", "hebrew", "hindi", "hungarian", "icelandic", "indonesian", "italian", "japanese", "korean", "latvian",
     "lithuanian", "norwegian", "persian", "polish", "portuguese", "romanian", "russian", "serbian", "slovak", "slovenian", "spanish",
     "swahili", "swedish", "tamil", "thai", "turkish", "ukrainian", "urdu", "vietnamese")
)  # fmt: skip
_TAG = re.compile(r"([a-z]{2,3})(_[a-z]{2,4})?")


def shape_of(layout: Layout, headers: Sequence[str] = (), sample: Sequence[Sequence[object]] = ()) -> TaskShape | None:
    """The shape of a source's rows; None for kinds that are not answered in words: tags, scores, several labels, dialogues, plain text.

    Args:
        headers: all columns of the source; some that are not read say that it is a translation. sample: rows in their order.
    """
    if layout.kind != "completion":
        return _BY_KIND.get(layout.kind)
    read = [_plain(name) for name in layout.inputs]
    written = _plain(layout.target or "")
    if _is_translation(layout, headers, sample):
        return "translation"
    if read[0] in _INSTRUCTIONS:
        return "instruction"
    if written in _SUMMARIES:
        return "summarization"
    if _QUESTIONS & set(read) and (written in _ANSWERS or written.startswith("answer")):
        return "question-answering"
    return "text-to-text"


def _is_translation(layout: Layout, headers: Sequence[str], sample: Sequence[Sequence[object]]) -> bool:
    columns = layout.columns
    if _plain(layout.target or "") in _TRANSLATIONS or _are_languages(columns):
        return True
    if {_plain(name) for name in headers} & _TELLS_LANGUAGE:
        return _plain(layout.inputs[0]) not in _INSTRUCTIONS
    places = [headers.index(name) for name in columns if name in headers]
    cells = [row[place] for row in sample for place in places if isinstance(row[place], dict)]
    return bool(cells) and all(isinstance(cell, dict) and _are_languages([str(key) for key in cell]) for cell in cells)


def _are_languages(names: Sequence[str]) -> bool:
    """Whether all are called by languages: de, en_US, zh-Hans, German, source_de, text_en."""
    codes: list[str] = []
    for name in names:
        plain = _plain(name)
        for start in ("source_", "target_", "src_", "tgt_", "text_", "sentence_"):
            plain = plain.removeprefix(start)
        tag = _TAG.fullmatch(plain)
        codes.append(plain if plain in _NAMES or tag is None else tag[1])
    known = _CODES | _NAMES
    return len(codes) > 1 and all(code in known | _CODES_AND_WORDS for code in codes) and any(code in known for code in codes)


def _plain(name: str) -> str:
    return "_".join(name_words(name))
