"""Benchmark of what hone does against forgetting: what self-replay keeps, and how often a certified budget is overspent.

    python benchmarks/forgetting.py [--quick] [--json] [--only keep|sequence|promise|ask]

Needs no data; each part stands alone, within minutes.

- keep: a decoder and an encoder-decoder know four skills on strings of letters by heart and learn a fifth; starter/encoder learns the tickets of
  the example desk. Each plainly, with self-replay, and with real replay, which has the older data. What is retained is the share of the items
  answered rightly before; of the encoder the mean of its scores on `similar` and `find`, as a share of those before.
- sequence: the decoder learns four new skills one after the other, plainly and with self-replay, each time held to what it was before that skill.
  Told are backward transfer and average forgetting (`measure.score_sequence`), and what is left of the old skills at the end.
- promise: the decoder's results are turned up from the base in ten positions, and at each it is seen which items are lost: right before, wrong
  after. From these real losses items are drawn again and again; each time a position is chosen by `measure.certify`, and by
  `measure.naive_choice` (the highest whose measured loss is within the budget). A promise is broken where the loss of all items there is
  above the budget. Budgets are 1, 2, 5, 10 and 20%, and the hardest ones: a hair below the true loss of a position, which a user cannot
  know but may happen to name.
- ask: the whole way of `hone tune --may-lose` on the decoder, for five budgets, full fine-tuning and LoRA: own samples held to with a strength
  steered to the budget, the dial chosen on half of the items, and what was lost counted on the other half.

Prints tables, or with --json one object with machine, rows, ratios and checks; exit status 1 when a check is false. The ratios are shares
(overhead: of the time that starter/decoder takes to learn the example desk's dialogues plainly).
"""

import itertools
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from forgetting_encoder import Way, learn_tickets
from forgetting_school import Family, School
from hone.catalogue import locate_model
from hone.core.console import note, render_table
from hone.measure import certify, naive_choice, score_sequence
from hone.model import Network, Renderer, load_language_model, load_reader
from hone.task import load_material
from hone.train import Complete, Dial, SelfReplay, SingleTask, StartingPoint, TrainPlan, draw_own_samples, fit, make_trainable
from reporting import headline, holds, run

__all__ = ["main"]

_PARTS = ("keep", "sequence", "promise", "ask")
_OWN_ROWS = {"plain": 0, "self-replay": 5, "sparse": 1, "real replay": 0}
"""Own samples in each step of 48 rows: a tenth as `hone tune` takes, and so few that something is lost and the dial has work to do."""
_CONFIDENCE = 0.9
_BUDGETS = (0.01, 0.02, 0.05, 0.1, 0.2)
_HARDEST = (0.01, 0.2)  # range of true losses just below which a budget is set, where it is most easily overspent
_ITEMS = (250, 500)
_POSITIONS = tuple(step / 10 for step in range(1, 11))
_RATES = {"full": 2e-3, "lora": 1e-2}
_STEPS = 200
_DIALOGUES = Path(__file__).resolve().parents[1] / "examples" / "support" / "dialogues.jsonl"
_PACE_STEPS, _PACE_ROWS, _TURNS = 6, 16, 5
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
        quick="one training seed and 300 resamples instead of three and 2,000",
        needs=(),
        packages=("hone-lm", "torch", "transformers"),
    )


def measure(_data: Path, *, is_quick: bool, only: str | None) -> Measured:
    """Rows, ratios and checks of the parts asked for."""
    seeds = range(1 if is_quick else 3)
    wanted = _PARTS if only is None else (only,)
    rows: list[Row] = []
    ratios: dict[str, float] = {}
    checks: dict[str, bool] = {}
    with tempfile.TemporaryDirectory() as folder:
        note("Teaching a decoder its four skills.")
        school = School(Path(folder) / "decoder", "decoder")
        parts: list[Measured] = []
        if "keep" in wanted:
            parts.append(keep(school, Path(folder), seeds))
        if "sequence" in wanted:
            parts.append(sequence(school, seeds))
        if "promise" in wanted:
            parts.append(promise(school, seeds, draws=300 if is_quick else 2_000))
        if "ask" in wanted:
            parts.append(ask(school, seeds))
    for more, numbers, holding in parts:
        rows += more
        ratios |= numbers
        checks |= {name: checks.get(name, True) and holding[name] for name in holding}
    return rows, ratios, checks


def keep(school: School, folder: Path, seeds: Sequence[int]) -> Measured:
    """What each way retains, in three families of models."""
    note("Teaching an encoder-decoder its four skills.")
    schools = (school, School(folder / "encoder-decoder", "encoder-decoder"))
    rows = [learn(one, way, seed)[0] for one in schools for seed in seeds for way in get_args(Way)]
    for seed, way in itertools.product(seeds, get_args(Way)):
        rows.append(learn_tickets(way, seed))
        _told(rows[-1])

    def mean(family: str, way: str, key: str = "retained") -> float:
        return float(np.mean([row[key] for row in rows if row["family"] == family and row["way"] == way]))

    families = (*get_args(Family), "encoder")
    over = {family: mean(family, "self-replay") / mean(family, "real replay") for family in families}
    ratios = {f"self_replay_retained_over_real_replay_{family.replace('-', '_')}": value for family, value in over.items()}
    for family in families:
        end = "" if family == "decoder" else f"_{family.replace('-', '_')}"
        ratios |= {
            f"retained_naive{end}": mean(family, "plain"),
            f"retained_self_replay{end}": mean(family, "self-replay"),
            f"learnt_naive{end}": mean(family, "plain", "learnt"),
            f"learnt_self_replay{end}": mean(family, "self-replay", "learnt"),
        }
    ratios["overhead"] = overhead()
    checks = {
        "self_replay_retains_95_percent_of_real_replay": all(value >= 0.95 for value in over.values()),
        "target_learned": all(
            ratios[f"learnt_self_replay{end}"] >= ratios[f"learnt_naive{end}"] - 0.03
            for end in ("", "_encoder_decoder", "_encoder")
        ),
    }
    checks["overhead_at_most_35_percent"] = ratios["overhead"] <= 0.35
    return rows, ratios, checks


def sequence(school: School, seeds: Sequence[int]) -> Measured:
    """Skill after skill: what learning the later ones does to the earlier."""
    rows = [_sequence(school, way, seed) for seed in seeds for way in ("plain", "self-replay")]
    ratios = {
        f"{key}_{'naive' if way == 'plain' else 'self_replay'}": float(np.mean([row[key] for row in rows if row["way"] == way]))
        for key in ("backward_transfer", "average_forgetting", "last_learnt")
        for way in ("plain", "self-replay")
    }
    return rows, ratios, {"target_learned": all(row["last_learnt"] > 0.95 for row in rows)}


def _sequence(school: School, way: str, seed: int) -> Row:
    net = school.base()
    before = school.right(net, school.asked)
    table = [[float(school.right(net, exam).mean()) for _, exam in school.lessons.values()]]
    for lesson, _ in school.lessons.values():
        held = school.self_replay(net, rows=_OWN_ROWS[way], seed=seed) if _OWN_ROWS[way] else None
        school.train(net, lesson, steps=_STEPS, rate=_RATES["full"], held=held, seed=seed)
        table.append([float(school.right(net, exam).mean()) for _, exam in school.lessons.values()])
    found = score_sequence(np.array(table), tasks=tuple(school.lessons))
    row = {
        "sequence": " > ".join(school.lessons),
        "way": way,
        "seed": seed,
        "backward_transfer": found.backward_transfer.value,
        "average_forgetting": found.average_forgetting.value,
        "last_learnt": table[-1][-1],
        "old_left": float((before & school.right(net, school.asked)).sum() / before.sum()),
    }
    note(
        f"sequence, {way}, seed {seed}: backward transfer {row['backward_transfer']:+.1%}, old skills left {row['old_left']:.1%}."
    )
    return row


def promise(school: School, seeds: Sequence[int], *, draws: int) -> Measured:
    """How often a budget is overspent, over resamples of real losses."""
    found = [learn(school, way, seed, is_dialled=True) for seed in seeds for way in ("plain", "self-replay", "sparse")]
    rows = [cell for one, losses in found for cell in promises(one, losses, draws=draws)]
    allowed = (1 - _CONFIDENCE) + 2 * float(np.sqrt(_CONFIDENCE * (1 - _CONFIDENCE) / draws))
    ratios: dict[str, float] = {}
    for choice, name in (("certified", "promise_broken_rate"), ("naive", "naive_broken_rate")):
        broken = [row[f"{choice}_broken"] for row in rows]
        hardest = [row[f"{choice}_broken"] for row in rows if row["is_hardest"]]
        ratios |= {name: float(np.mean(broken)), f"{name}_worst": max(broken), f"{name}_hardest": float(np.mean(hardest))}
    return rows, ratios, {"promise_kept": all(row["certified_broken"] <= allowed for row in rows)}


def ask(school: School, seeds: Sequence[int]) -> Measured:
    """What was asked for and what came of it, on items that took no part in choosing."""
    rows = [asked(school, method, budget, seed) for method in _RATES for budget in _BUDGETS for seed in seeds]
    over = float(np.mean([row["lost"] > row["budget"] for row in rows]))
    allowed = (1 - _CONFIDENCE) + 2 * float(np.sqrt(_CONFIDENCE * (1 - _CONFIDENCE) / len(rows)))
    return rows, {"asked_overspent_rate": over}, {"promise_kept": over <= allowed}


def overhead() -> float:
    """What self-replay adds to the time of plain training, as a share: starter/decoder on the example desk's dialogues, median of turns in
    which both train, after one that warms up.
    """
    folder = locate_model("starter/decoder")
    reader = load_reader(folder)
    objective = Complete(Renderer(reader.tokenizer, length=reader.context_length))
    rows = load_material(str(_DIALOGUES)).rows[: _PACE_STEPS * _PACE_ROWS]
    net = make_trainable("full").prepare(load_language_model(folder, "causal", pad_id=reader.pad_id).to(reader.device))
    items, samples = objective.encode(rows), draw_own_samples(net, reader, count=64)
    plan = TrainPlan(
        learning_rate=0.0,
        head_learning_rate=0.0,
        steps=_PACE_STEPS,
        batch_rows=_PACE_ROWS,
        evaluations=0,
        precision=reader.precision,
    )
    ratios = []
    for _ in range(_TURNS + 1):
        seconds = []
        for own in (0, 2):
            held = SelfReplay(objective, samples, reader, rows=own) if own else None
            record = fit(net, items, plan=plan, objective=objective, mixture=SingleTask(len(items)), regulariser=held)
            seconds.append(record.seconds)
        ratios.append(seconds[1] / seconds[0] - 1)
    return float(np.median(ratios[1:]))


def learn(school: School, way: str, seed: int, *, is_dialled: bool = False) -> tuple[Row, dict[float, np.ndarray]]:
    """The new skill learnt one way: what is known after it, and which items are lost at each position of the dial, [items]."""
    net = school.base()
    start, before = StartingPoint(net), school.right(net, school.asked)
    held = school.self_replay(net, rows=_OWN_ROWS[way], seed=seed) if _OWN_ROWS[way] else None
    older = school.known if way == "real replay" else ()
    seconds = school.train(net, school.lesson, steps=_STEPS, rate=_RATES["full"], held=held, older=older, seed=seed)
    after = school.right(net, school.asked)
    row = {
        "family": school.family,
        "way": way,
        "seed": seed,
        "base_right": float(before.mean()),
        "learnt": float(school.right(net, school.exam).mean()),
        "retained": float((before & after).sum() / before.sum()),
        "seconds": seconds,
    }
    _told(row)
    if not is_dialled:
        return row, {}
    return row, losses_by_dial(school, net, Dial(net, start), school.asked, before)


def losses_by_dial(school: School, net: Network, dial: Dial, texts: Sequence[str], before: np.ndarray) -> dict[float, np.ndarray]:
    """1 for an item that was right before and is wrong at a position, else 0; [items] each."""
    losses = {}
    for position in _POSITIONS:
        dial.turn(position)
        losses[position] = (before & ~school.right(net, texts)).astype(float)
    return losses


def _told(row: Row) -> None:
    note(
        f"{row['family']}, {row['way']}, seed {row['seed']}: new {row['learnt']:.1%}, old kept {row['retained']:.1%}, {row['seconds']:.1f} s."
    )


def asked(school: School, method: str, budget: float, seed: int) -> Row:
    """One run with a budget: a controller while it trains, a certificate on half of the items, the other half reported."""
    net = school.base(method, **({"rank": 16} if method == "lora" else {}))
    start = StartingPoint(net)
    order = np.random.default_rng(seed).permutation(len(school.asked))
    chosen, reported = ([school.asked[at] for at in part] for part in np.array_split(order, 2))
    was, was_reported = school.right(net, chosen), school.right(net, reported)
    held = school.self_replay(net, rows=_OWN_ROWS["self-replay"], seed=seed, target=budget)
    school.train(net, school.lesson, steps=_STEPS, rate=_RATES[method], held=held, seed=seed)
    dial = Dial(net, start)
    losses = losses_by_dial(school, net, dial, chosen, was)
    found = certify(losses, budget=budget, confidence=_CONFIDENCE)
    learnt_at_full = float(school.right(net, school.exam).mean())
    dial.turn(found.dial)
    row = {
        "method": method,
        "budget": budget,
        "seed": seed,
        "dial": found.dial,
        "strength": held.strength,
        "lost_at_full": float(losses[1.0].mean()),
        "lost": float((was_reported & ~school.right(net, reported)).mean()),
        "learnt": float(school.right(net, school.exam).mean()),
        "learnt_at_full": learnt_at_full,
    }
    note(
        f"{method}, at most {budget:.0%}, seed {seed}: dial {found.dial:.1f}, lost {row['lost']:.1%}, learnt {row['learnt']:.1%}."
    )
    return row


def promises(one: Row, losses: dict[float, np.ndarray], *, draws: int) -> list[Row]:
    """How often each choice of the dial overspends, for every budget and number of items."""
    true = {0.0: 0.0, **{position: float(each.mean()) for position, each in losses.items()}}
    size = len(next(iter(losses.values())))
    rows = []
    hair = 0.5 / size
    hardest = sorted({value - hair for value in true.values() if _HARDEST[0] < value - hair and value < _HARDEST[1]})
    budgets = [*((budget, False) for budget in _BUDGETS), *((budget, True) for budget in hardest)]
    for (budget, is_hardest), items in itertools.product(budgets, _ITEMS):
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
    rows = result["rows"]
    parts = [headline(result)]
    if kept := [row for row in rows if "retained" in row]:
        cells = [
            (
                row["family"],
                row["way"],
                str(row["seed"]),
                f"{row['learnt']:.1%}",
                f"{row['retained']:.1%}",
                f"{row['seconds']:.1f} s",
            )
            for row in kept
        ]
        parts.append(render_table(("family", "way", "seed", "new skill", "old ones kept", "training"), cells))
    if followed := [row for row in rows if "sequence" in row]:
        cells = [
            (
                row["way"],
                str(row["seed"]),
                *(f"{row[key]:+.1%}" for key in ("backward_transfer", "average_forgetting", "old_left")),
            )
            for row in followed
        ]
        headers = ("way", "seed", "backward transfer", "average forgetting", "old skills left")
        parts.append(f"{followed[0]['sequence']}\n{render_table(headers, cells)}")
    if drawn := [row for row in rows if "draws" in row]:
        cells = [
            (
                row["way"],
                str(row["seed"]),
                f"{row['budget']:.2%}",
                "yes" if row["is_hardest"] else "",
                str(row["items"]),
                *(f"{row[f'{choice}_broken']:.1%}" for choice in ("certified", "naive")),
                *(f"{row[f'{choice}_dial']:.2f}" for choice in ("certified", "naive")),
            )
            for row in drawn
        ]
        headers = ("way", "seed", "budget", "hardest", "items", "certified", "naive", "dial, certified", "dial, naive")
        parts.append(
            f"How often the loss was above the budget, promised: at most {1 - _CONFIDENCE:.0%}\n{render_table(headers, cells)}"
        )
    if answered := [row for row in rows if "lost_at_full" in row]:
        cells = [
            (
                row["method"],
                f"{row['budget']:.0%}",
                str(row["seed"]),
                f"{row['dial']:.1f}",
                *(f"{row[key]:.1%}" for key in ("lost", "lost_at_full", "learnt", "learnt_at_full")),
            )
            for row in answered
        ]
        headers = ("method", "may lose", "seed", "dial", "lost", "lost at 1", "new skill", "new skill at 1")
        parts.append(render_table(headers, cells))
    parts.append(", ".join(f"{name} {value:.3f}" for name, value in result["ratios"].items()))
    return "\n\n".join([*parts, holds(result["checks"])])


if __name__ == "__main__":
    sys.exit(main())
