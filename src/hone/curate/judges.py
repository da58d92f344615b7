"""The judges: datatrove's filters with hone's thresholds, language, overlap, and personal data.

The filters are datatrove 0.10's, given an offline tokenizer (`words`). The one surprise: C4's filter returns lines without blank lines or
indentation; both are put back, since a language model learns paragraphs and code from them.
"""

import re
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.filters import C4QualityFilter, FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter
from datatrove.pipeline.filters.base_filter import get_filter_result

from hone.core.errors import BadData, Usage, need
from hone.curate.overlap import Overlap
from hone.curate.pii import mask_personal
from hone.curate.settings import CurateSettings
from hone.curate.steps import Judge
from hone.curate.words import UNSPACED, Words

__all__ = ["C4", "Language", "Mask", "NotIn", "Rules", "fineweb", "quality", "repetition", "splitter"]

_CITATION = re.compile(r"\[\d*]|\[edit]|\[citation needed]")
# Stretches of a long text that are judged: the language of a book is that of its beginning, middle and end.
_STRETCH = 2000


class Rules(Judge):
    """One of datatrove's filters."""

    def __init__(self, rules: Any) -> None:
        self._rules = rules

    def __call__(self, document: Document, count: Any) -> str | None:
        """The filter's reason, without its prefix."""
        is_kept, reason = get_filter_result(self._rules.filter(document))
        return None if is_kept else str(reason or "removed").removeprefix("gopher_")


class C4(Judge):
    """C4's rules on lines and pages; the lines kept stand where they stood."""

    def __init__(self, settings: CurateSettings) -> None:
        rules = settings.c4
        self._has_citations = rules.citations
        self._rules = C4QualityFilter(
            remove_citations=rules.citations,
            filter_no_terminal_punct=rules.terminal_punctuation,
            min_num_sentences=rules.min_sentences or -1,
            min_words_per_line=rules.min_line_words or -1,
            max_word_length=rules.max_word_length,
            filter_lorem_ipsum=rules.lorem_ipsum,
            filter_javascript=rules.javascript,
            filter_curly_bracket=rules.curly_bracket,
            filter_policy=rules.policy,
            language=splitter(settings.language),
        )

    def __call__(self, document: Document, count: Any) -> str | None:
        """The page rule that removes the document, or None; lines that go are counted by rule."""
        before = document.text
        self._rules.stats.stats.clear()
        is_kept, reason = get_filter_result(self._rules.filter(document))
        if not is_kept:
            return str(reason)
        for label, number in self._rules.stats.stats.items():
            if label.startswith("line-filter-"):
                count(f"part:{label.removeprefix('line-filter-')}", int(number.total))
        document.text = self._put_back(before, document.text)
        # Blank lines are no lines that a rule removed, but C4 counts each as one of too few words.
        blank = sum(not line.strip() for line in before.splitlines())
        if blank and (self._rules.filter_no_terminal_punct or self._rules.min_words_per_line > 0):
            count("part:no_terminal_punc" if self._rules.filter_no_terminal_punct else "part:too_few_words", -blank)
        return None

    def _put_back(self, before: str, kept: str) -> str:
        lines = iter(kept.split("\n"))
        waiting = next(lines, None)
        result: list[str] = []
        is_after_blank = False
        for line in before.splitlines():
            bare = line.strip()
            if not bare:
                is_after_blank = True
                waiting = next(lines, None) if waiting == "" else waiting
                continue
            if waiting is None or (_CITATION.sub("", bare) if self._has_citations else bare).strip() != waiting.strip():
                continue
            if is_after_blank and result:
                result.append("")
            result.append(line[: len(line) - len(line.lstrip())] + waiting.rstrip())
            waiting, is_after_blank = next(lines, None), False
        return "\n".join(result)


def repetition(settings: CurateSettings) -> Rules:
    """Gopher's rules on repetition."""
    rules = settings.repetition
    return Rules(
        GopherRepetitionFilter(
            dup_line_frac=rules.duplicate_lines,
            dup_para_frac=rules.duplicate_paragraphs,
            dup_line_char_frac=rules.duplicate_line_characters,
            dup_para_char_frac=rules.duplicate_paragraph_characters,
            top_n_grams=tuple(enumerate(rules.top_ngrams, 2)),
            dup_n_grams=tuple(enumerate(rules.duplicate_ngrams, 5)),
            language=splitter(settings.language),
        )
    )


def quality(settings: CurateSettings) -> Rules:
    """Gopher's rules on running text; its stop words are English, and other languages go without."""
    rules = settings.quality
    return Rules(
        GopherQualityFilter(
            min_doc_words=rules.min_words,
            max_doc_words=rules.max_words,
            min_avg_word_length=rules.min_word_length,
            max_avg_word_length=rules.max_word_length,
            max_symbol_word_ratio=rules.symbols,
            max_bullet_lines_ratio=rules.bullet_lines,
            max_ellipsis_lines_ratio=rules.ellipsis_lines,
            max_non_alpha_words_ratio=rules.words_with_letters,
            min_stop_words=rules.stop_words if settings.language == "en" else 0,
            language=splitter(settings.language),
        )
    )


def fineweb(settings: CurateSettings) -> Rules:
    """FineWeb's rules on lists and broken lines."""
    rules = settings.fineweb
    return Rules(
        FineWebQualityFilter(
            line_punct_thr=rules.lines_ending_in_punctuation,
            short_line_thr=rules.short_lines,
            short_line_length=rules.short_line,
            char_duplicates_ratio=rules.duplicate_line_characters,
            new_line_ratio=rules.lines_per_word,
            language=splitter(settings.language),
        )
    )


class Language(Judge):
    """Which language a text is in, by py3langid: 97 languages, its model comes with the package.

    Raises:
        Usage: a language it does not know.
    """

    def __init__(self, language: str, threshold: float) -> None:
        self._language = language
        self._threshold = threshold
        self._identifier = _identifier()
        if language not in self._identifier.labels:
            raise Usage(f"language '{language}' is not known. Known: {', '.join(sorted(self._identifier.labels))}.")

    def __getstate__(self) -> dict[str, Any]:
        return {"_language": self._language, "_threshold": self._threshold}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._identifier = _identifier()

    def __call__(self, document: Document, count: Any) -> str | None:
        """The other language, or that the wanted one is unsure."""
        text = document.text
        if len(text) > 3 * _STRETCH:
            middle = len(text) // 2
            text = "\n".join((text[:_STRETCH], text[middle : middle + _STRETCH], text[-_STRETCH:]))
        language, probability = self._identifier.classify(text)
        if language != self._language:
            return f"language {language}"
        return None if probability >= self._threshold else "unsure"


class NotIn(Judge):
    """Takes passages of evaluation sets out."""

    def __init__(self, overlap: Overlap, *, removes_documents: bool) -> None:
        self._overlap = overlap
        self._removes_documents = removes_documents

    def __call__(self, document: Document, count: Any) -> str | None:
        """The first set of which the document holds a passage, where whole documents go."""
        text, found = self._overlap.find(document.text)
        for name, paragraphs in found.items():
            count(f"part:{name}", paragraphs)
            count(f"documents:{name}")
        if found and self._removes_documents:
            return next(iter(found))
        document.text = text
        return None


class Mask(Judge):
    """Masks personal data; removes no document."""

    def __call__(self, document: Document, count: Any) -> str | None:
        """None."""
        document.text, found = mask_personal(document.text)
        for kind, number in found.items():
            count(f"part:{kind}", number)
        return None


def splitter(language: str) -> Words:
    """The offline tokenizer.

    Raises:
        BadData: the language writes no blanks between words.
    """
    if language in UNSPACED:
        raise BadData(
            f"The rules of C4, Gopher and FineWeb count words between blanks, and '{language}' writes none. "
            "Leave them out: --only language,exact,pii."
        )
    return Words(language)


def _identifier() -> Any:
    need("py3langid", extra="curate")
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
