"""The rows that tuning holds back itself share no passage with those that train, where there are enough passages."""

import json
import random

import pytest

from hone.tune import TuneSettings
from hone.tune.prepare import read_rows

KINDS = ("answers", "classify", "choice", "completion")


def row(kind, passage, number):
    """Something asked about a passage."""
    asked = {"question": f"what about {number}", "context": passage}
    return (
        asked
        | {
            "answers": {"answers": {"text": [passage[:5]], "answer_start": [0]}},
            "classify": {"label": ("yes", "no")[number % 2]},
            "choice": {"options": ["one", "two", "three"], "answer": "ABC"[number % 3]},
            "completion": {"answer": f"so it is {number}"},
        }[kind]
    )


def divided(folder, kind, *, passages, questions):
    draw = random.Random(1)
    texts = [" ".join("".join(draw.choices("abcdefgh", k=5)) for _ in range(20)) for _ in range(passages)]
    path = folder / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row(kind, text, number)) for text in texts for number in range(questions)))
    named = {"text": ("question", "context"), "label": "label"} if kind == "classify" else {}
    return read_rows(TuneSettings(data=str(path), model="none", kind=kind, **named)), texts


def read_in(part, texts):
    """The passages that rows ask about."""
    return {text for text in texts for row in part if text in str(row)}


@pytest.mark.parametrize("kind", KINDS)
def test_no_passage_stands_on_both_sides(kind, tmp_path, capsys):
    found, texts = divided(tmp_path, kind, passages=40, questions=5)
    assert len(found.validation) == 20 and len(found.train) == 180
    assert len(read_in(found.validation, texts)) == 4 and not read_in(found.validation, texts) & read_in(found.train, texts)
    assert "too few" not in capsys.readouterr().err


@pytest.mark.parametrize("kind", KINDS)
def test_too_few_passages_to_be_kept_apart_are_told(kind, tmp_path, capsys):
    found, _ = divided(tmp_path, kind, passages=2, questions=50)
    assert len(found.validation) == 10
    assert (
        "10 of 10 validation rows ask about a passage that training rows ask about too: there are too few"
        in capsys.readouterr().err
    )
