"""What an encoder's sentence vectors lose when it learns the topics of the example desk's tickets, for `forgetting.py`.

starter/encoder learns 600 tickets by full fine-tuning: plainly, held to what its base says about the tickets' own texts (self-replay: no other
data), and held to what it says about general English texts (real replay). Asked before and after: `similar` and `find` of the retained tasks.
"""

import json
import random
from functools import cache
from pathlib import Path
from typing import Any, Literal

import torch

import hone.evaluate
from hone.evaluate import answer_vectors, bundled_vector_tasks, measure_vector_forgetting
from hone.model import HeadedNetwork, load_classifier, load_reader, locate_model
from hone.task import Example, load_material
from hone.train import Classify, OwnVectors, SingleTask, TrainPlan, fit, make_trainable

__all__ = ["EncoderWay", "learn_tickets"]

EncoderWay = Literal["plain", "self-replay", "real replay"]
_TICKETS = Path(__file__).resolve().parents[1] / "examples" / "support" / "tickets.csv"
_TRAINED, _BATCH, _HELD_ROWS, _PASSES, _RATE = 600, 16, 2, 2, 2e-4


@cache
def _tickets() -> tuple[list[Example], list[Example]]:
    rows = [row for row in load_material(str(_TICKETS)).rows if isinstance(row, Example)]
    random.Random(0).shuffle(rows)
    return rows[:_TRAINED], rows[_TRAINED:]


def _general_texts() -> list[str]:
    """Paragraphs of no retained task of vectors."""
    suite = Path(hone.evaluate.__file__).parent / "suite"
    read = {name: (suite / f"{name}.jsonl").read_text(encoding="utf-8").splitlines() for name in ("texts", "reading")}
    return [json.loads(line)["text"] for line in read["texts"]] + [json.loads(line)["context"] for line in read["reading"]]


def learn_tickets(way: EncoderWay, seed: int) -> dict[str, Any]:
    """One training: accuracy on tickets that took no part, and what share of the retained scores is left (1 is all)."""
    folder = locate_model("starter/encoder")
    reader = load_reader(folder)
    train, exam = _tickets()
    labels = tuple(sorted({row.label for row in (*train, *exam)}))
    torch.manual_seed(seed)
    net = make_trainable("full").prepare(load_classifier(folder, labels).to(reader.device))
    assert isinstance(net, HeadedNetwork)
    tasks, objective = bundled_vector_tasks(), Classify(labels, reader)
    before = answer_vectors(tasks, lambda texts: net.embed(reader.tokenize(texts), reader))
    items = objective.encode(train)
    texts = [item.ids for item in items] if way == "self-replay" else reader.tokenize(_general_texts())
    held = None if way == "plain" else OwnVectors(texts, reader, rows=_HELD_ROWS)
    plan = TrainPlan(
        learning_rate=_RATE,
        head_learning_rate=2e-3,
        steps=_PASSES * len(items) // _BATCH,
        batch_rows=_BATCH,
        forward_tokens=2048,
        evaluations=0,
        precision=reader.precision,
        seed=seed,
    )
    record = fit(net, items, plan=plan, objective=objective, mixture=SingleTask(len(items)), regulariser=held)
    after = answer_vectors(tasks, lambda texts: net.embed(reader.tokenize(texts), reader))
    found = measure_vector_forgetting(tasks, before, after, seed=seed).tasks
    asked, net = objective.encode(exam), net.eval()
    with torch.no_grad(), reader.autocast():
        right = sum(
            objective.right(objective.logits(net, asked[at : at + 32]), asked[at : at + 32]) for at in range(0, len(asked), 32)
        )
    kept = sum(task.after / task.before for task in found) / len(found)
    return {
        "family": "encoder",
        "way": way,
        "seed": seed,
        "learnt": right / len(asked),
        "retained": kept,
        "seconds": record.seconds,
        **{task.task: task.after for task in found},
    }
