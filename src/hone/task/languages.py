"""Which languages two columns are in: by their names, and else by the commonest words and the letters of their texts.

Serves `recognise`, which takes such columns for a text and its translation, and `shapes`. The test of texts is small on purpose: it knows
two dozen languages and says nothing where it is not sure.
"""

import re
import statistics
import unicodedata
from collections import Counter
from collections.abc import Sequence

from hone.task.profile import name_words

__all__ = ["are_language_names", "are_two_languages", "names_language"]

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
     "swahili", "swedish", "tamil", "thai", "turkish", "ukrainian", "urdu", "vietnamese",
     "deutsch", "englisch", "französisch", "spanisch", "italienisch", "russisch", "polnisch", "türkisch", "niederländisch",
     "français", "anglais", "allemand", "espagnol", "italien", "español", "inglés", "francés", "alemán", "italiano", "inglese",
     "francese", "tedesco", "spagnolo", "português", "inglês", "francês", "nederlands", "engels", "duits", "frans", "polski",
     "angielski", "niemiecki", "česky", "čeština", "anglicky", "německy", "svenska", "engelska", "dansk", "norsk", "engelsk", "suomi",
     "türkçe", "ingilizce", "русский", "английский", "немецкий", "українська", "中文", "英文", "汉语", "英语", "日本語", "英語", "한국어", "영어")
)  # fmt: skip
_TAG = re.compile(r"([a-z]{2,3})(_[a-z]{2,4})?")
_AROUND = ("source", "target", "src", "tgt", "text", "sentence", "translation")

# Words that stand in many sentences of one language and in few of the others.
_COMMON = {
    "English": "the and of to is that it was for on with as are this an at by from he she his her they in a",
    "German": "der die das und ist nicht ein eine einen einem einer den dem von mit auf zu im sich für auch wird sind",
    "French": "le la les et est un une des du dans que pour pas qui sur en au avec ce il elle",
    "Spanish": "el la los las y es un una en que por con del se al lo su para no de",
    "Italian": "il lo la gli le e è un una di che per non con del della nel si sono i",
    "Portuguese": "o a os as e é um uma de que não com para do da em no na",
    "Dutch": "de het een en van is dat niet op met voor zijn in te aan er",
    "Swedish": "och att det som en är på av för inte med ett den till i",
    "Danish": "og at det som en er på af for ikke med et den til i",
    "Polish": "i w na się nie z do jest to że jak o od po",
    "Czech": "a v na se je že s z do to ve si jsou který při po",
    "Romanian": "și de la în cu pe nu este un o care din",
    "Hungarian": "a az és hogy nem egy is van ez",
    "Finnish": "ja on ei että se oli hän myös ovat kun",
    "Turkish": "ve bir bu için da de ile çok olarak",
    "Indonesian": "yang dan di dari untuk dengan ini itu adalah pada seorang",
    "Vietnamese": "và của là có được trong không một người đang",
}
_LANGUAGES_OF = {
    word: tuple(language for language, words in _COMMON.items() if word in words.split())
    for word in {word for words in _COMMON.values() for word in words.split()}
}
_FEWEST = 5
_SHARE = 0.7
_LENGTHS = 6  # how many times as long a translation may be in letters: from Chinese into English it is three to four


def names_language(name: str) -> bool:
    """Whether a column may be called by a language: de, en_US, zh-Hans, German, source_de, english_text."""
    return _language(name) in _CODES | _NAMES | _CODES_AND_WORDS


def are_language_names(names: Sequence[str]) -> bool:
    """Whether several columns are all called by languages, at least one by no word of another meaning."""
    found = [_language(name) for name in names]
    return len(found) > 1 and all(map(names_language, names)) and any(one in _CODES | _NAMES for one in found)


def _language(name: str) -> str:
    plain = "_".join(name_words(name))
    for part in _AROUND:
        plain = plain.removeprefix(f"{part}_").removesuffix(f"_{part}")
    tag = _TAG.fullmatch(plain)
    return plain if plain in _NAMES or tag is None else tag[1]


def are_two_languages(pairs: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
    """The languages of two columns, where their texts tell that they differ and the texts of a row are of like length; else None."""
    rows = [(one, other) for one, other in pairs if one.strip() and other.strip()]
    if len(rows) < _FEWEST:
        return None
    first, second = (_tell([row[side] for row in rows]) for side in (0, 1))
    longer = statistics.median(len(one) / len(other) for one, other in rows)
    if first is None or second is None or first == second or not 1 / _LENGTHS <= longer <= _LENGTHS:
        return None
    return first, second


def _tell(texts: Sequence[str]) -> str | None:
    """The language of most texts, or the script where that is not Latin; None where neither is clear."""
    scripts = Counter(script for text in texts if (script := _script(text)))
    if not scripts:
        return None
    script, count = scripts.most_common(1)[0]
    if count < _SHARE * len(texts):
        return None
    if script != "Latin":
        return script
    votes = Counter(language for text in texts if (language := _vote(text)))
    if not votes or votes.total() < max(_FEWEST, 0.3 * len(texts)):
        return None
    language, count = votes.most_common(1)[0]
    return language if count >= _SHARE * votes.total() else None


def _script(text: str) -> str | None:
    """The script of most letters: Latin, Cyrillic, Cjk and so on."""
    letters = Counter(unicodedata.name(letter, "?").split()[0].split("-")[0] for letter in text[:300] if letter.isalpha())
    found = letters.most_common(1)[0][0].capitalize() if letters else None
    return "Han and kana" if found in ("Cjk", "Hiragana", "Katakana") else found


def _vote(text: str) -> str | None:
    """The language whose common words are most in a text; None where two are level or there are none."""
    words = re.findall(r"[^\W\d_]+", text.lower())
    counts = Counter(language for word in words for language in _LANGUAGES_OF.get(word, ())).most_common(2)
    if not counts or (len(counts) == 2 and counts[0][1] == counts[1][1]):
        return None
    return counts[0][0]
