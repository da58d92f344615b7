"""Words by which texts are compared: SQuAD's for short answers, rouge-score's for long ones, and what both lack for other scripts.

The one surprise: where a script puts no spaces between words each character counts as one, since where words end cannot be seen.
"""

import re
import string
import unicodedata
from collections.abc import Sequence
from decimal import Decimal

__all__ = ["AnyScript", "bleu_tokens", "compared_words", "count_words", "is_mostly_latin", "normalise_answer"]

_UNSPACED = re.compile(  # Thai, Lao, Myanmar, Khmer, kana, ideographs
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)
_IDEOGRAPH = re.compile("[\u3005-\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_MARKS = re.compile(  # punctuation of other scripts, in the order of Unicode: Armenian, Hebrew, Arabic, Indic, Thai to Khmer, Ethiopic, CJK
    "[\u055a-\u055f\u0589\u05be\u05c0\u05c3\u05f3\u05f4\u060c\u061b\u061f\u066a-\u066d\u06d4\u0964\u0965\u0970\u0e2f\u0e5a\u0e5b\u104a-\u104f\u17d4-\u17da"
    "\u1361-\u1368\u3000-\u3004\u3008-\u3020\u30fb\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]"
)
_SAMPLE = 1000  # texts by which a script is told


def normalise_answer(text: str) -> str:
    """SQuAD's: lower case, no punctuation, no English articles, single spaces; but signs and points of numbers count.

    Punctuation of other scripts, which SQuAD's script leaves, goes as well.
    """
    bare = " ".join(
        _number(word) or "".join(letter for letter in word if letter not in string.punctuation)
        for word in _MARKS.sub(" ", text.lower()).split()
    )
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


def compared_words(text: str) -> list[str]:
    """The words of a normalised answer."""
    return _apart(normalise_answer(text)).split()


def count_words(text: str) -> float:
    """How many words a text has, punctuation or not; of scripts without spaces two characters to a word, as is usual in Chinese."""
    return len(_UNSPACED.sub(" ", text).split()) + len(_UNSPACED.findall(text)) / 2


def _apart(text: str) -> str:
    """Spaces around every character of a script that puts none between words."""
    return _UNSPACED.sub(r" \g<0> ", text)


_NUMBER = re.compile(r"([-+\u2212]?)\$?([€£]?)(\d{1,3}(?:,\d{3})+|\d+)?(?:[.,](\d+))?%?(€?)[.,;:!?)]*")


def _number(word: str) -> str | None:
    """A word that is a number, by its value: 1,000 is 1000, $5 and 5.0 are 5, -1,5 is -1.5."""
    found = _NUMBER.fullmatch(word)
    if found is None or not (found[3] or found[4]):
        return None
    value = Decimal(f"{(found[3] or '0').replace(',', '')}.{found[4] or '0'}").normalize()
    is_negative = found[1] not in ("", "+") and value != 0
    return f"{'-' if is_negative else ''}{found[2]}{value:f}{found[5]}"


def is_mostly_latin(texts: Sequence[str]) -> bool:
    """Whether most letters are ones that rouge-score's own tokenizer keeps (a to z); it deletes all others."""
    letters = [letter for text in texts[:_SAMPLE] for letter in text.lower() if letter.isalpha()]
    return sum(letter.isascii() for letter in letters) >= 0.5 * len(letters)


class AnyScript:
    """A tokenizer for rouge-score: runs of letters and digits with their vowel signs and accents, or single characters."""

    def tokenize(self, text: str) -> list[str]:
        """Its words, in lower case."""
        joined = text.lower().replace("\u200c", "").replace("\u200d", "")  # they only say how letters are drawn
        is_word = (letter.isalnum() or unicodedata.category(letter)[0] == "M" for letter in joined)
        return _apart("".join(letter if keeps else " " for letter, keeps in zip(joined, is_word, strict=True))).split()


def bleu_tokens(texts: Sequence[str]) -> str:
    """sacreBLEU's tokenizer for these texts: 13a, and where most letters stand without spaces zh for ideographs alone, else char."""
    letters = [letter for text in texts[:_SAMPLE] for letter in text if letter.isalpha()]
    unspaced = [letter for letter in letters if _UNSPACED.match(letter)]
    if len(unspaced) < max(1, 0.5 * len(letters)):
        return "13a"
    return "zh" if sum(bool(_IDEOGRAPH.match(letter)) for letter in unspaced) > 0.95 * len(unspaced) else "char"
