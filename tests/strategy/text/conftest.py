"""Benches of models that answer in words: three kinds of answers, a tiny decoder and a tiny encoder-decoder."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hone.model import Encoder
from hone.retrieve import ChunkSettings, Index, IndexSettings, read_documents
from hone.strategy import Effort, TextBase, TextBench
from hone.task import bundled_templates
from tiny_words import TOPICS, choice_rows, label_rows, save_word_model, written_rows

_ROWS = {"text-generation": written_rows, "multiple-choice": choice_rows, "text-classification": label_rows}
_LABELS = {"text-generation": (), "multiple-choice": ("A", "B", "C"), "text-classification": tuple(sorted(TOPICS))}
_SHAPES = {"text-generation": "text-to-text", "multiple-choice": "multiple-choice", "text-classification": "classification"}


@pytest.fixture(scope="session")
def word_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of the tiny 'llama' or 't5', made once; read it, never write into it."""
    made: dict[str, Path] = {}

    def path(kind: str) -> Path:
        if kind not in made:
            made[kind] = save_word_model(tmp_path_factory.mktemp(kind), kind)
        return made[kind]

    return path


@pytest.fixture(scope="session")
def index(encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Index:
    """A document per topic, which holds its words and its name."""
    folder = tmp_path_factory.mktemp("documents")
    for name, words in TOPICS.items():
        (folder / f"{name}.txt").write_text(f"{words}: about {name}.", encoding="utf-8")
    small = IndexSettings(chunks=ChunkSettings(tokens=32))
    return Index.build(read_documents(str(folder)), tmp_path_factory.mktemp("index") / "index", encoder=encoder, settings=small)


@pytest.fixture
def make_bench(word_model: Callable[[str], Path], encoder: Encoder, index: Index, tmp_path: Path) -> Callable[..., TextBench]:
    """`make_bench(kind, model)`: so many training rows and 12 validation rows; anything can be changed."""

    def make(kind: str = "text-generation", model: str = "llama", *, rows: int = 24, **changes: object) -> TextBench:
        values: dict[str, object] = {
            "labels": _LABELS[kind],
            "train": _ROWS[kind](rows, seed=1),
            "validation": _ROWS[kind](12, seed=2),
            "metric": "exact_match" if kind == "text-generation" else "accuracy",
            "seed": 0,
            "effort": Effort(epochs=1.0, arms=2, batch_rows=8),
            "work": tmp_path / "work",
            "kind": kind,
            "descriptions": {},
            "templates": bundled_templates(_SHAPES[kind]),  # type: ignore[arg-type]
            "base": TextBase(str(word_model(model)), precision="fp32"),
            "encoder": encoder,
            "index": index,
        }
        return TextBench(**(values | changes))  # type: ignore[arg-type]

    return make
