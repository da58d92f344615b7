"""Words and sentences without a model: what datatrove's rules split texts with.

datatrove's own tokenizers want spaCy or NLTK's data, which are fetched. Its filters take any `WordTokenizer`, and this one needs nothing. Words are
what stands between blanks, which is how C4 and Gopher counted theirs; spaCy also counts each comma as a word, so that dialogue looks like signs.
"""

import re

from datatrove.utils.word_tokenizers import WordTokenizer

__all__ = ["UNSPACED", "Words"]

UNSPACED = frozenset({"zh", "ja", "th", "lo", "km", "my", "bo", "dz"})
"""Languages that write no blanks between words."""

_SENTENCE_END = re.compile(r"[.!?…。！？]+[\"'”’»)\]]*(?=\s|$)")


class Words(WordTokenizer):  # type: ignore[misc]
    """datatrove's `WordTokenizer`, offline."""

    def word_tokenize(self, text: str) -> list[str]:
        """What stands between blanks."""
        return text.split()

    def sent_tokenize(self, text: str) -> list[str]:
        """Sentences: each ends with . ! ? or …, with closing quotes and brackets, before a blank or the end."""
        return [text[start:end] for start, end in self.span_tokenize(text)]

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        """Where the sentences start and end; what follows the last mark is one too."""
        spans, start = [], 0
        for found in _SENTENCE_END.finditer(text):
            spans.append((start, found.end()))
            start = found.end()
            while start < len(text) and text[start].isspace():
                start += 1
        if text[start:].strip():
            spans.append((start, len(text)))
        return spans
