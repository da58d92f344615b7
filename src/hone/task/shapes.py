"""Which shape of task a source's rows have, for a model that answers in words: the columns' names tell.

The kind says what a row holds; the shape says in which words to ask. Prompts and completions may be anything, so it is
their columns that tell a summary from a translation.
"""

from collections.abc import Sequence

from hone.task.kinds import TaskShape
from hone.task.languages import are_language_names, are_two_languages
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
    return "translation" if len(layout.inputs) == 1 and _is_told_by_texts(layout, headers, sample) else "text-to-text"


def _is_translation(layout: Layout, headers: Sequence[str], sample: Sequence[Sequence[object]]) -> bool:
    columns = layout.columns
    if _plain(layout.target or "") in _TRANSLATIONS or are_language_names(columns):
        return True
    if {_plain(name) for name in headers} & _TELLS_LANGUAGE:
        return _plain(layout.inputs[0]) not in _INSTRUCTIONS
    places = [headers.index(name) for name in columns if name in headers]
    cells = [row[place] for row in sample for place in places if isinstance(row[place], dict)]
    return bool(cells) and all(isinstance(cell, dict) and are_language_names([str(key) for key in cell]) for cell in cells)


def _is_told_by_texts(layout: Layout, headers: Sequence[str], sample: Sequence[Sequence[object]]) -> bool:
    places = [headers.index(name) for name in layout.columns if name in headers]
    rows = [tuple(row[place] for place in places) for row in sample]
    return are_two_languages([row for row in rows if len(row) == 2 and all(isinstance(cell, str) for cell in row)]) is not None  # type: ignore[misc]


def _plain(name: str) -> str:
    return "_".join(name_words(name))
