"""Small corpora whose fate is known: sound documents that no rule removes, and ways to spoil them."""

import gzip
import json
import random
from pathlib import Path

from hone.curate import CurateSettings

_WORDS = {
    "nouns": "harbour engine garden letter kitchen mountain teacher river window market island winter bridge painter doctor "
    "village ladder captain orchard lantern chimney pasture meadow tailor sparrow kettle barrel chapel anchor "
    "basket candle desert feather glacier hammer jacket ledger mirror needle oyster pillow quarry ribbon saddle "
    "tunnel valley wagon",
    "verbs": "crossed repaired painted opened followed remembered visited described carried measured answered gathered "
    "borrowed defended examined folded greeted hid imagined joined lifted mended noticed ordered polished "
    "questioned raised searched traded watched",
}
_NOUNS, _VERBS = (_WORDS[kind].split() for kind in ("nouns", "verbs"))


def sentence(rng: random.Random) -> str:
    """One sentence; from the same generator, hardly the same sequence of words twice."""
    first, second, third, fourth = rng.sample(_NOUNS, 4)
    verb, other = rng.sample(_VERBS, 2)
    return f"The {first} of {rng.randint(1000, 9999)} {verb} a {second} and {other} {rng.choice(_NOUNS)} with that {third} or {fourth}."


def document(seed: int, *, paragraphs: int = 4, sentences: int = 5) -> str:
    """Paragraphs between blank lines that pass every rule."""
    rng = random.Random(seed)
    return "\n\n".join(" ".join(sentence(rng) for _ in range(sentences)) for _ in range(paragraphs))


def write_rows(path: Path, rows: list[dict[str, object]]) -> Path:
    """JSON lines, gzipped where the name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def write_texts(path: Path, texts: list[str]) -> Path:
    """Rows with a text alone."""
    return write_rows(path, [{"text": text} for text in texts])


def read_rows(folder: Path) -> list[dict[str, str]]:
    """The corpus of a run."""
    with gzip.open(folder / "texts.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def settings_of(crawl, out, **changed):
    """All steps on the crawl."""
    values = {"sources": (str(crawl / "books"), str(crawl / "web")), "not_in": (str(crawl / "test.jsonl"),), "out": str(out)}
    return CurateSettings.model_validate(values | changed)
