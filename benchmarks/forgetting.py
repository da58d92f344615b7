"""Benchmark of what hone does against forgetting: what self-replay keeps, and how often a certified budget is overspent.

    python benchmarks/forgetting.py [--quick] [--json] [--only PART]

Needs no data: a small decoder learns four skills on strings of letters by heart, then a fifth, once plainly and once with self-replay. Both are
turned up from the base in ten positions, and at each it is seen which items of the four skills are lost: right before, wrong after. From these
real losses items are drawn again and again; each time a position is chosen by `measure.certify`, and by `measure.naive_choice` (the highest whose
measured loss is within the budget). A promise is broken where the loss of all items there is above the budget. Budgets are 1, 2 and 5%, and the
hardest ones: a hair below the true loss of a position, which a user cannot know but may happen to name. Prints a table, or with --json one
object with machine, rows, ratios and checks; exit status 1 when a check is false. The ratios are shares (overhead: of plain training's time).
"""

import itertools
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hone.core.console import note, render_table
from hone.measure import certify, naive_choice
from hone.model import Network, load_language_model, load_reader, locate_model
from hone.task import Plain
from hone.train import (
    Causal,
    Dial,
    Regulariser,
    SelfReplay,
    SingleTask,
    StartingPoint,
    TrainPlan,
    draw_own_samples,
    fit,
    make_trainable,
)
from reporting import headline, holds, run

__all__ = ["main"]

_PARTS = ("promise",)
_LETTERS = "abcdefgh"
_OLD = {
    "back": lambda t: t[::-1],
    "first": lambda t: t[:1],
    "last": lambda t: t[-1:],
    "next": lambda t: [_LETTERS[(_LETTERS.index(letter) + 1) % len(_LETTERS)] for letter in t],
}
_NEW = {"swap": lambda t: [t[1], t[0], t[2]]}
_WORDS = ["<pad>", "<s>", "</s>", "=", *_OLD, *_NEW, *_LETTERS]
_HELD = 200  # items of each old skill that no training sees
_ROWS = 48
_WAYS = {"plain": 0, "self-replay": 5, "sparse": 1}
"""Own samples in each step of 48 rows: a tenth as `hone tune` takes, and so few that something is lost and the dial has work to do."""
_CONFIDENCE = 0.9
_BUDGETS = (0.01, 0.02, 0.05)
_HARDEST = (0.01, 0.2)  # range of true losses just below which a budget is set, where it is most easily overspent
_ITEMS = (250, 500)
_POSITIONS = tuple(step / 10 for step in range(1, 11))
_TURNS = 5
Row = dict[str, Any]
Measured = tuple[list[Row], dict[str, float], dict[str, bool]]


def main() -> int:
    """Measure, print, and say by the exit status whether every check holds."""
    return run(
        "forgetting",
        measure,
        tables,
        about="Benchmark what hone does against forgetting.",
        parts=_PARTS,
        quick="one training seed and 300 resamples instead of three and 2,000, within 5 minutes",
        needs=(),
        packages=("hone-lm", "torch", "transformers"),
    )


def sentences(skills: dict[str, Any]) -> list[str]:
    """Every question with its answer: 'back a b c = c b a'."""
    return [
        " ".join([name, *letters, "=", *skill(list(letters))])
        for name, skill in skills.items()
        for letters in itertools.product(_LETTERS, repeat=3)
    ]


class School:
    """The small decoder, what it knows, and its exams."""

    def __init__(self, folder: Path) -> None:
        _save_blank(folder)
        self.folder = locate_model(str(folder))
        self.reader = load_reader(self.folder, precision="fp32", device=torch.device("cpu"))
        rng = random.Random(0)
        old = {name: sentences({name: skill}) for name, skill in _OLD.items()}
        self.asked = [text for texts in old.values() for text in rng.sample(texts, _HELD)]
        held = set(self.asked)
        net = self._load()
        known = [text for texts in old.values() for text in texts if text not in held]
        self.train(net, known, steps=700, rate=4e-3, optimiser="muon")
        self._learnt = {name: value.clone() for name, value in net.state_dict().items()}
        new = sentences(_NEW)
        rng.shuffle(new)
        self.lesson, self.exam = new[:300], new[300:]

    def _load(self) -> Any:
        return load_language_model(self.folder, "causal", pad_id=0)

    def base(self) -> Any:
        """The model that knows the old skills."""
        net = self._load()
        net.load_state_dict(self._learnt)
        return make_trainable("full").prepare(net)

    def train(
        self,
        net: Network,
        texts: list[str],
        *,
        steps: int,
        rate: float,
        optimiser: Any = "adamw",
        held: Regulariser | None = None,
        seed: int = 0,
    ) -> float:
        """Teach it texts; the seconds that took."""
        plan = TrainPlan(
            learning_rate=rate,
            head_learning_rate=rate,
            steps=steps,
            batch_rows=_ROWS,
            forward_tokens=4096,
            evaluations=0,
            optimiser=optimiser,
            weight_decay=0.0,
            seed=seed,
        )
        objective = Causal(self.reader)
        items = objective.encode([Plain(text, "", 0) for text in texts])
        started = time.perf_counter()
        fit(net, items, plan=plan, objective=objective, mixture=SingleTask(len(items)), regulariser=held)
        return time.perf_counter() - started

    @torch.no_grad()
    def right(self, net: Network, texts: list[str]) -> np.ndarray:
        """Whether each answer is written rightly to its end, [n]: every token of it is the likeliest after those before."""
        objective = Causal(self.reader)
        was_training = net.training
        net.eval()
        found = []
        for item in objective.encode([Plain(text, "", 0) for text in texts]):
            first = item.ids.index(_WORDS.index("="))
            answers = objective.logits(net, [item]).argmax(dim=-1).tolist()  # [T - 1]
            found.append(answers[first:] == item.labels[first:])
        net.train(was_training)
        return np.array(found, dtype=bool)


def _save_blank(folder: Path) -> None:
    """A decoder of two layers and width 64 with random weights, and its tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(_WORDS)}, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=32, **special).save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(_WORDS),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=32,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


def measure(_data: Path, *, is_quick: bool, only: str | None) -> Measured:
    """Rows, ratios and checks."""
    with tempfile.TemporaryDirectory() as folder:
        note("Teaching the base its four skills.")
        school = School(Path(folder))
        before = school.right(school.base(), school.asked)
        note(f"The base answers {before.mean():.1%} of {len(before)} items rightly.")
        runs = [learn(school, before, way, seed) for seed in range(1 if is_quick else 3) for way in _WAYS]
        extra = overhead(school)
    draws = 300 if is_quick else 2_000
    rows = [cell for one in runs for cell in promises(one, draws=draws)]
    allowed = (1 - _CONFIDENCE) + 2 * float(np.sqrt(_CONFIDENCE * (1 - _CONFIDENCE) / draws))

    def mean(way: str, key: str) -> float:
        return float(np.mean([one[key] for one in runs if one["way"] == way]))

    ratios = {
        "promise_broken_rate": float(np.mean([row["certified_broken"] for row in rows])),
        "promise_broken_rate_worst": max(row["certified_broken"] for row in rows),
        "promise_broken_rate_hardest": float(np.mean([row["certified_broken"] for row in rows if row["is_hardest"]])),
        "naive_broken_rate": float(np.mean([row["naive_broken"] for row in rows])),
        "naive_broken_rate_hardest": float(np.mean([row["naive_broken"] for row in rows if row["is_hardest"]])),
        "naive_broken_rate_worst": max(row["naive_broken"] for row in rows),
        "retained_naive": mean("plain", "retained"),
        "retained_self_replay": mean("self-replay", "retained"),
        "overhead": extra,
        "base_right": float(before.mean()),
    }
    checks = {
        "promise_kept": all(row["certified_broken"] <= allowed for row in rows),
        "target_learned": all(one["learnt"] > 0.95 for one in runs),
    }
    summaries = [{name: value for name, value in one.items() if name != "losses"} for one in runs]
    return [*summaries, *rows], ratios, checks


def overhead(school: School) -> float:
    """What self-replay adds to the time of plain training, as a share: median of turns in which both train, after one that warms up."""
    samples = draw_own_samples(school.base(), school.reader, count=64, length=16, seed=0)
    ratios = []
    for _ in range(_TURNS + 1):
        plain = school.train(school.base(), school.lesson, steps=40, rate=1e-4)
        held = SelfReplay(Causal(school.reader), samples, school.reader, rows=_WAYS["self-replay"])
        ratios.append(school.train(school.base(), school.lesson, steps=40, rate=1e-4, held=held) / plain - 1)
    return float(np.median(ratios[1:]))


def learn(school: School, before: np.ndarray, way: str, seed: int) -> Row:
    """The new skill learnt one way: what is known after it, and which items are lost at each position of the dial."""
    net = school.base()
    start = StartingPoint(net)
    held, drawing = None, 0.0
    if _WAYS[way]:
        started = time.perf_counter()
        samples = draw_own_samples(net, school.reader, count=512, length=16, seed=seed)
        drawing = time.perf_counter() - started
        held = SelfReplay(Causal(school.reader), samples, school.reader, rows=_WAYS[way])
    seconds = school.train(net, school.lesson, steps=200, rate=2e-3, held=held, seed=seed)
    learnt = float(school.right(net, school.exam).mean())
    dial, losses = Dial(net, start), {}
    for position in _POSITIONS:
        dial.turn(position)
        losses[position] = (before & ~school.right(net, school.asked)).astype(float)
    retained = 1 - float(losses[1.0].sum() / before.sum())
    note(f"{way}, seed {seed}: new skill {learnt:.1%}, old ones kept {retained:.1%}, {seconds:.1f} s.")
    found = {"way": way, "seed": seed, "learnt": learnt, "retained": retained, "seconds": seconds, "drawing_seconds": drawing}
    return {**found, "lost_by_dial": {str(at): float(each.mean()) for at, each in losses.items()}, "losses": losses}


def promises(one: Row, *, draws: int) -> list[Row]:
    """How often each choice of the dial overspends, for every budget and number of items."""
    losses: dict[float, np.ndarray] = one["losses"]
    true = {0.0: 0.0, **{position: float(each.mean()) for position, each in losses.items()}}
    size = len(next(iter(losses.values())))
    rows = []
    hair = 0.5 / size
    hardest = sorted({value - hair for value in true.values() if _HARDEST[0] < value - hair and value < _HARDEST[1]})
    asked = [*((budget, False) for budget in _BUDGETS), *((budget, True) for budget in hardest)]
    for (budget, is_hardest), items in itertools.product(asked, _ITEMS):
        rng = np.random.default_rng([one["seed"], round(1e5 * budget), items])
        chosen: dict[str, list[float]] = {"certified": [], "naive": []}
        for _ in range(draws):
            picked = rng.integers(size, size=items)
            seen = {position: each[picked] for position, each in losses.items()}
            chosen["certified"].append(certify(seen, budget=budget, confidence=_CONFIDENCE).dial)
            chosen["naive"].append(naive_choice(seen, budget=budget))
        row: Row = {
            "way": one["way"],
            "seed": one["seed"],
            "budget": budget,
            "is_hardest": is_hardest,
            "items": items,
            "draws": draws,
        }
        for name, dials in chosen.items():
            row[f"{name}_broken"] = float(np.mean([true[dial] > budget for dial in dials]))
            row[f"{name}_dial"] = float(np.mean(dials))
        rows.append(row)
    return rows


def tables(result: dict[str, Any]) -> str:
    """The result as text."""
    runs = [row for row in result["rows"] if "retained" in row]
    cells = [row for row in result["rows"] if "budget" in row]
    learnt = [
        (row["way"], str(row["seed"]), f"{row['learnt']:.1%}", f"{row['retained']:.1%}", f"{row['seconds']:.1f} s")
        for row in runs
    ]
    kept = [
        (
            row["way"],
            str(row["seed"]),
            f"{row['budget']:.2%}",
            "yes" if row["is_hardest"] else "",
            str(row["items"]),
            f"{row['certified_broken']:.1%}",
            f"{row['naive_broken']:.1%}",
            f"{row['certified_dial']:.2f}",
            f"{row['naive_dial']:.2f}",
        )
        for row in cells
    ]
    ratios = ", ".join(f"{name} {value:.3f}" for name, value in result["ratios"].items())
    return "\n".join(
        [
            headline(result),
            "",
            render_table(("way", "seed", "new skill", "old ones kept", "training"), learnt),
            "",
            f"How often the loss was above the budget, promised: at most {1 - _CONFIDENCE:.0%}",
            render_table(
                ("way", "seed", "budget", "hardest", "items", "certified", "naive", "dial, certified", "dial, naive"), kept
            ),
            "",
            ratios,
            holds(result["checks"]),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
