"""What an encoder's sentence vectors lose when it learns the topics of the example desk's tickets, for `forgetting.py`.

starter/encoder learns 600 tickets by full fine-tuning: plainly, held to what its base says about the tickets' own texts (self-replay: no other
data), and held to what it says about general English texts (real replay). Asked before and after: `similar` and `find` of the retained tasks.
"""

import random
from functools import cache
from pathlib import Path
from typing import Any, Literal

import torch

import hone.evaluate
from hone.catalogue import locate_model
from hone.core.store import read_lines
from hone.evaluate import VectorAnswers, answer_vectors, bundled_vector_tasks, measure_vector_forgetting
from hone.model import HeadedNetwork, load_classifier, load_reader
from hone.task import Example, load_material
from hone.train import Classify, OwnVectors, SingleTask, TrainPlan, fit, make_trainable, measure_loss

__all__ = ["Way", "learn_tickets"]

Way = Literal["plain", "self-replay", "real replay"]
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
    columns = {"texts": "text", "reading": "context"}
    return [str(row[column]) for name, column in columns.items() for row in read_lines(suite / f"{name}.jsonl")]


def learn_tickets(way: Way, seed: int) -> dict[str, Any]:
    """One training: accuracy on tickets that took no part, and what share of the retained scores is left (1 is all)."""
    folder = locate_model("starter/encoder")
    reader = load_reader(folder)
    train, exam = _tickets()
    labels = tuple(sorted({row.label for row in (*train, *exam)}))
    torch.manual_seed(seed)
    net = make_trainable("full").prepare(load_classifier(folder, labels).to(reader.device))
    assert isinstance(net, HeadedNetwork)
    tasks, objective = bundled_vector_tasks(), Classify(labels, reader)

    def answers() -> dict[str, VectorAnswers]:
        return answer_vectors(tasks, lambda texts: net.embed(reader.tokenize(texts), reader))

    before = answers()
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
    found = measure_vector_forgetting(tasks, before, answers(), seed=seed).tasks
    kept = sum(task.after / task.before for task in found) / len(found)
    return {
        "family": "encoder",
        "way": way,
        "seed": seed,
        "learnt": measure_loss(net, objective, objective.encode(exam), reader).accuracy,
        "retained": kept,
        "seconds": record.seconds,
        **{task.task: task.after for task in found},
    }
