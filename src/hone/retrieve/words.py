"""Words as answers and passages are compared by: SQuAD's, and one per character where a script puts no spaces between words.

Serves `evaluate` and `answer`. The one surprise: in such scripts any run of characters is made of whole words, since where its
words end cannot be seen: 三十天 lies in 年假有三十天.
"""

import re

from hone.measure import normalise_answer

__all__ = ["compared_words"]

_UNSPACED = re.compile(  # Thai, Lao, Myanmar, Khmer, kana, ideographs
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)
_MARKS = re.compile("[\u3000-\u3004\u3008-\u3020\u30fb\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]")


def compared_words(text: str) -> list[str]:
    """Lower case, without punctuation and English articles."""
    return _UNSPACED.sub(r" \g<0> ", normalise_answer(_MARKS.sub(" ", text))).split()
