"""Rows that heads answer, one that can be learnt from its text for every kind, and the settings of a short run."""

import json

from hone.tune import TuneSettings
from tiny import SENTENCES

__all__ = ["lines", "settings", "write_files"]

WORDS = {"refund": "B-MONEY", "money": "B-MONEY", "parcel": "B-THING"}
PARTS = {"refund": "NOUN", "money": "NOUN", "parcel": "NOUN", "is": "VERB", "want": "VERB"}


def made(text, n):
    """A row of every kind, whose answer can be learnt from the text."""
    words = [*text.split(), f"n{n}"]
    is_long, number = len(words) > 8, sum(map(ord, text)) % 7
    return {
        "classify": {"text": " ".join(words), "label": "refund" if is_long else "late"},
        "multi_label": {
            "text": " ".join(words),
            "labels": [*(["refund"] if is_long else []), *(["is"] if "is" in words else [])],
        },
        "score": {"text": " ".join(words), "score": 70.0 + 20.0 * is_long + 0.25 * number},
        "tag": {"tokens": words, "ner_tags": [WORDS.get(word, "O") for word in words]},
        "parts": {"tokens": words, "pos_tags": [PARTS.get(word, "X") for word in words]},
        "answers": {
            "question": "what is it",
            "context": " ".join(words),
            "answers": {"text": [words[0]], "answer_start": [0]},
        },
    }


def write_files(folder, kind):
    """Paths of a file to train on and one to test on."""
    paths = []
    for name, copies in (("rows", range(4)), ("test", range(10, 12))):
        paths.append(folder / f"{name}.jsonl")
        rows = [made(text, f"{copy}{at}")[kind] for copy in copies for at, text in enumerate(SENTENCES)]
        paths[-1].write_text("\n".join(json.dumps(row) for row in rows))
    return [str(path) for path in paths]


def settings(data, model, out, **more):
    """Of a short run."""
    return TuneSettings(
        data=data,
        model=model,
        out=str(out),
        **({"steps": 40, "batch_rows": 8, "precision": "fp32", "evaluations": 2, "retain": (), "method": "full"} | more),
        **({} if "learning_rate" in more else {"learning_rate": 3e-3}),
    )


def lines(path):
    """The objects of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]
