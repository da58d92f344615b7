"""Sample Comparisons for the tests of the report: answers are drawn at random, every number is computed from them."""

import math
import random
from collections.abc import Sequence

from hone.compare.records import (
    ClassScore,
    Comparison,
    Cost,
    CurvePoint,
    Data,
    Difference,
    Estimate,
    Forgetting,
    LearningCurve,
    Machine,
    Metric,
    Mistake,
    ModelInfo,
    Recommendation,
    RetainedChange,
    Row,
    TaskInfo,
)
from hone.compare.report.words import points
from hone.measure.pareto import pareto_front
from hone.task.records import Columns, Finding

LABELS = ("account", "billing", "cancellation", "delivery", "feedback", "login", "refund", "technical problem")
REASON = "Every strategy here puts a new head on an encoder, so there is no earlier task to score"

# strategy, title, skill in [0, 1], train seconds, trained parameters, bytes on disk, latency in ms, settings
STRATEGIES: tuple[tuple[str, str, float, float, int, int, float, dict[str, str | float | int]], ...] = (
    ("lora", "LoRA", 0.915, 134.2, 297_224, 1_206_000, 12.4, {"rank": 16, "learning_rate": 5e-4, "epochs": 6}),
    ("full", "full fine-tuning", 0.918, 318.9, 22_716_296, 90_900_000, 11.8, {"learning_rate": 5e-5, "epochs": 4}),
    ("adapter", "bottleneck adapter", 0.905, 171.0, 601_352, 2_410_000, 13.9, {"width": 48, "learning_rate": 1e-3, "epochs": 6}),
    ("contrastive", "contrastive", 0.893, 96.4, 22_713_216, 90_860_000, 11.9, {"pairs": 4000, "learning_rate": 2e-5}),
    ("head", "frozen encoder + head", 0.871, 4.1, 3_080, 14_200, 11.7, {"C": 4.0}),
    ("bias", "bias-only", 0.868, 121.7, 32_264, 131_000, 11.8, {"learning_rate": 2e-3, "epochs": 8}),
    ("neighbours", "nearest neighbours", 0.842, 3.6, 0, 7_370_000, 12.2, {"k": 8, "temperature": 0.05}),
    ("few_shot", "few-shot", 0.641, 5.8, 0, 98_000, 1140.0, {"examples": 16, "order": "similar last"}),
    ("zero_shot", "zero-shot", 0.473, 0.0, 0, 2_100, 214.0, {"template": "This message is about {label}."}),
)
MODEL = ModelInfo(
    name="all-MiniLM-L6-v2",
    revision="c9745ed1d9f207416be6d2e6f8de32d1f16199bf",
    sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    parameters=22_713_216,
    context_length=512,
    licence="apache-2.0",
)
OPENINGS = (
    "Hello, I have written twice already and nobody answered.",
    "Guten Tag,",
    "hi there!!",
    "To whom it may concern:",
    "I am a customer since 2014 and never had trouble before.",
)
BODIES = (
    "The amount on my last invoice does not match what I agreed to on the phone.",
    "Since yesterday the app only shows a white screen after I enter my password 🙈.",
    "The parcel was marked as delivered but my neighbour has not seen anyone all day.",
    "Please stop the subscription at the end of the month and send me the remaining money.",
    "I was charged for two seats although we removed one in March.",
)


def banking_labels() -> tuple[str, ...]:
    """77 labels in the manner of a banking help desk."""
    things = ("card", "transfer", "top_up", "cash_withdrawal", "exchange_rate", "pin", "account")
    events = ("pending", "declined", "fee_charged", "not_recognised", "arrival", "delivery_estimate", "limits")
    more = ("cancelled_by_the_customer", "reverted", "wrong_amount", "supported_countries")
    return tuple(sorted(f"{thing}_{event}" for thing in things for event in (*events, *more)))


def _answers(truth: Sequence[int], skill: float, classes: int, rng: random.Random) -> list[int]:
    """Right with probability `skill`, else mostly a class next to the true one."""
    given = []
    for label in truth:
        if rng.random() < skill:
            given.append(label)
        elif rng.random() < 0.7:
            given.append((label + rng.choice((-1, 1))) % classes)
        else:
            given.append(rng.randrange(classes))
    return given


def _interval(value: float, n: int) -> Metric:
    z = 1.96
    middle = (value + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (value * (1 - value) / n + z * z / (4 * n * n)) ** 0.5
    return Metric(value=value, low=min(value, middle - half), high=max(value, middle + half), n=n)


def _scores(confusion: list[list[int]], labels: Sequence[str]) -> tuple[ClassScore, ...]:
    scores = []
    for index, label in enumerate(labels):
        hit, true, said = confusion[index][index], sum(confusion[index]), sum(row[index] for row in confusion)
        precision, recall = hit / said if said else 0.0, hit / true if true else 0.0
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        scores.append(ClassScore(label=label, precision=precision, recall=recall, f1=f1, support=true))
    return tuple(scores)


def _metrics(scores: Sequence[ClassScore], accuracy: float, n: int) -> dict[str, Metric]:
    metrics = {"accuracy": _interval(accuracy, n)}
    for kind in ("precision", "recall", "f1"):
        values = [getattr(score, kind) for score in scores]
        metrics[f"macro_{kind}"] = _interval(sum(values) / len(values), n)
        metrics[f"weighted_{kind}"] = _interval(
            sum(value * score.support for value, score in zip(values, scores, strict=True)) / n, n
        )
    return metrics | {"ece": _interval(0.031 + 0.1 * (1 - accuracy), n)}


def _difference(own: list[bool], best: list[bool], rows: int) -> Difference:
    wins = sum(a and not b for a, b in zip(own, best, strict=True))
    losses = sum(b and not a for a, b in zip(own, best, strict=True))
    n, value = len(own), (wins - losses) / len(own)
    half = 1.96 * max(wins + losses, 1) ** 0.5 / n
    p = math.erfc(abs(wins - losses) / (2 * max(wins + losses, 1)) ** 0.5)
    return Difference(
        value=value, low=value - half, high=value + half, p_value=p, p_holm=min(1.0, p * rows), test="mcnemar_exact"
    )


def findings(place: str = "tickets.csv") -> tuple[Finding, ...]:
    """One finding of most kinds."""

    def places(count: int) -> tuple[str, ...]:
        return tuple(f"{place} line {17 + 31 * index}" for index in range(min(count, 20)))

    return (
        Finding(
            kind="exact_duplicate",
            severity="removed",
            message="34 rows repeat another row word for word.",
            count=34,
            places=places(34),
        ),
        Finding(
            kind="leak",
            severity="removed",
            message="11 training rows are near duplicates of a test row; they were taken out of training.",
            count=11,
            places=places(11),
        ),
        Finding(kind="rejected_row", severity="removed", message="3 rows have an empty text.", count=3, places=places(3)),
        Finding(
            kind="likely_mislabel",
            severity="warning",
            message="27 labels disagree with all 8 nearest rows; look at them first.",
            count=27,
            places=places(27),
        ),
        Finding(
            kind="conflicting_labels",
            severity="warning",
            message="2 texts stand there with different labels.",
            count=2,
            places=places(2),
        ),
        Finding(
            kind="class_balance", severity="info", message="The largest class has 4.1 times the rows of the smallest.", count=1
        ),
    )


def sample(
    *,
    labels: Sequence[str] = LABELS,
    strategies: int = 9,
    test: int = 600,
    seed: int = 0,
    stopped: str | None = None,
    curve: bool = True,
    forgetting: bool = False,
    text: str | None = None,
    source: str = "tickets.csv",
) -> Comparison:
    """A Comparison whose numbers agree with one another.

    Args:
        labels, strategies, test: how many of what. seed: of the drawn answers. stopped: a strategy that ended early.
        curve, forgetting: whether these are there. text: replaces the texts of all mistakes. source: the file's name.
    """
    rng = random.Random(seed)
    classes = len(labels)
    truth = [rng.randrange(classes) for _ in range(test)]
    chosen = STRATEGIES[:3] + STRATEGIES[-(strategies - 3) :] if strategies > 3 else (STRATEGIES[0], STRATEGIES[4], STRATEGIES[8])
    answers = {entry[0]: _answers(truth, entry[2], classes, rng) for entry in chosen}
    right = {name: [a == b for a, b in zip(given, truth, strict=True)] for name, given in answers.items()}
    best = max((name for name in right if name != stopped), key=lambda name: sum(right[name]))
    total = sum(sum(flags) ** 24 for name, flags in right.items() if name != stopped)
    rows = []
    for name, title, _, seconds, trained, size, latency, settings in chosen:
        confusion = [[0] * classes for _ in range(classes)]
        for true, said in zip(truth, answers[name], strict=True):
            confusion[true][said] += 1
        scores = _scores(confusion, labels)
        accuracy = sum(right[name]) / test
        estimate = Estimate(seconds=seconds * 1.22 + 1, peak_bytes=int(1.4e9 + 16 * trained)) if seconds else None
        rows.append(
            Row(
                strategy=name,
                title=title,
                model=MODEL.name,
                metrics=_metrics(scores, accuracy, test),
                validation=min(1.0, accuracy + 0.004),
                per_class=scores,
                confusion=tuple(map(tuple, confusion)),
                difference=None if name == best else _difference(right[name], right[best], len(chosen)),
                p_best=0.0 if name == stopped else sum(right[name]) ** 24 / total,
                is_pareto=False,
                cost=Cost(
                    train_seconds=seconds,
                    peak_bytes=int(1.26e9 + 14 * trained) if seconds else None,
                    trainable_parameters=trained,
                    bytes_on_disk=size,
                    latency_ms_median=latency,
                    latency_ms_p95=latency * 1.37,
                    rows_per_second=6400 / latency,
                    estimate=estimate,
                ),
                forgetting=_forgetting(name, trained, stopped) if forgetting else Forgetting(not_measured=REASON),
                tried=(),
                spread=None,
                note="",
                settings=settings,
                stopped_early="The time limit of 60 seconds was reached after epoch 1 of 8." if name == stopped else None,
            )
        )
    rows.sort(key=lambda row: (row.stopped_early is not None, -row.metrics["accuracy"].value))
    front = pareto_front([row.metrics["accuracy"].value for row in rows], [row.cost.seconds for row in rows])
    rows = [row.model_copy(update={"is_pareto": on_front}) for row, on_front in zip(rows, front, strict=True)]
    equal = [row for row in rows if row.difference is None or row.difference.p_holm >= 0.05]
    pick = min((row for row in equal if not row.stopped_early), key=lambda row: row.cost.seconds)
    titles = {row.strategy: row.title for row in rows}
    detectable = 2.8 * (0.08 / test) ** 0.5
    return Comparison(
        hone_version="0.1.0",
        command=f"hone compare {source} --seed {seed}",
        started="2026-08-22T09:14:03Z",
        seconds=sum(row.cost.train_seconds for row in rows) + 74.5,
        seed=seed,
        task=TaskInfo(kind="text-classification", labels=tuple(labels), metric="accuracy", metrics={}),
        model=MODEL,
        models=(MODEL,),
        data=Data(
            train=1_904,
            validation=402,
            test=test,
            removed=48,
            source=source,
            columns=Columns(
                text=("subject", "body"), label="queue", because="The only columns of long text, and one with 8 repeated values."
            ),
            split_digest="9f2b7c41d0e84a5f9c1f7a6f2c0b3d5e8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d",
            findings=findings(source),
        ),
        rows=tuple(rows),
        recommended=Recommendation(
            strategy=pick.strategy,
            best=best,
            because=(
                f"{pick.title} reaches {points(pick.metrics['accuracy'].value)}% accuracy on {test} unseen test rows.",
                f"The highest measured is {titles[best]}; the difference is within chance on this test set (Holm-adjusted)."
                if pick.strategy != best
                else "No other strategy measures higher.",
                f"Among the {len(equal)} strategies that cannot be told from the best it takes the least time to train.",
            ),
            would_change=(
                f"A test set large enough to show differences below {100 * detectable:.1f} points.",
                "A price per answer: zero-shot needs no training, but answers 18 times slower.",
            ),
            minimal_detectable_difference=detectable,
        ),
        learning_curve=_curve(pick.strategy, pick.metrics["accuracy"].value) if curve else None,
        mistakes=_mistakes(answers, truth, labels, rng, text, source),
        machine=Machine(
            processor="AMD EPYC 9654",
            cores=2,
            memory_bytes=25_276_506_112,
            accelerator=None,
            arithmetic="fp32",
            versions={"python": "3.11.7", "torch": "2.9.1", "transformers": "5.2.0", "peft": "0.18.1", "scikit-learn": "1.7.2"},
        ),
        folder="runs/compare-tickets-20260822-091403",
        not_run={"knn_few_shot": "It needs a decoder model; all-MiniLM-L6-v2 is an encoder."} if strategies > 3 else {},
    )


def _forgetting(name: str, trained: int, stopped: str | None) -> Forgetting:
    """More where more weights moved; nothing without, and not measured where the strategy was stopped."""
    if name == stopped:
        return Forgetting(not_measured=REASON)
    if trained < 10_000:
        return Forgetting(mean=0.0, low=0.0, high=0.0, worst=0.0, unchanged="the weights of the model are as they were")
    lost = round(0.006 * math.log10(trained / 10_000), 4)
    changes = {"similar": -0.4 * lost, "find": -1.6 * lost}
    return Forgetting(
        mean=-lost,
        low=-lost - 0.011,
        high=-lost + 0.009,
        worst=-1.6 * lost,
        worst_low=-1.6 * lost - 0.02,
        worst_high=-1.6 * lost + 0.03,
        worst_task="find",
        tasks=changes,
        details=tuple(
            RetainedChange(
                task=task,
                metric={"similar": "spearman", "find": "recall@1"}[task],
                items=120,
                before=0.85,
                after=0.85 + change,
                change=change,
                low=change - 0.02,
                high=change + 0.03,
                p_holm=None if task == "similar" else 0.4,
                note="" if task == "similar" else "mean reciprocal rank 0.910 before, 0.900 after",
            )
            for task, change in changes.items()
        ),
        seconds=1.4,
    )


def _curve(strategy: str, top: float) -> LearningCurve:
    counts = (59, 119, 238, 476, 952, 1904)
    values = [top - 0.9 * (count**-0.42 - 1904**-0.42) for count in counts]
    measured = tuple(
        CurvePoint(rows=count, value=value, low=value - 0.9 / count**0.6, high=value + 0.7 / count**0.6)
        for count, value in zip(counts, values, strict=True)
    )
    return LearningCurve(
        strategy=strategy,
        points=measured,
        still_rises=True,
        gain_low=0.004,
        gain_high=0.026,
        forecast_rows=3808,
        forecast=top - 0.9 * (3808**-0.42 - 1904**-0.42),
    )


def _mistakes(
    answers: dict[str, list[int]], truth: list[int], labels: Sequence[str], rng: random.Random, text: str | None, source: str
) -> tuple[Mistake, ...]:
    wrong = {index: sum(given[index] != truth[index] for given in answers.values()) for index in range(len(truth))}
    worst = sorted((index for index in wrong if wrong[index]), key=lambda index: -wrong[index])[:20]
    return tuple(
        Mistake(
            place=f"{source} line {index * 4 + 2}",
            text=text if text is not None else f"{rng.choice(OPENINGS)}\n{rng.choice(BODIES)} {rng.choice(BODIES)}",
            label=labels[truth[index]],
            answers={name: labels[given[index]] for name, given in answers.items()},
            confidence={name: round(rng.uniform(0.31, 0.99), 3) for name in answers},
        )
        for index in worst
    )


HOSTILE = (
    "<script>alert('x')</script><img src=https://evil.example/x.png onerror=alert(1)> </style></svg> {{ 7 * 7 }} "
    "{% raw %} & \" ' "
    "\u202eright to left\u202c العربية مع نص طويل 👩‍👩‍👧‍👦 \x00\x07 "
    + "supercalifragilistic" * 12
    + "\n" * 40
    + "end "
    + "x" * 100_000
)


def hostile() -> Comparison:
    """Every string that comes from a user is as unpleasant as it gets."""
    labels = (
        "<b>bold</b>",
        "a label that somebody wrote as a whole sentence, because the spreadsheet had room for it and nobody asked",
        "nospaces" * 12,
        "عربي",
        "日本語のとても長いラベル" * 3,
        '"quoted" & <i>',
        "🙂",
        "",
    )
    base = sample(labels=labels, text=HOSTILE, source="<img src=x onerror=alert(1)>.csv")
    row = base.rows[0].model_copy(update={"settings": {"<script>": "</script><script>alert(2)</script>", "long": "y" * 400}})
    bad = Finding(
        kind="long_text", severity="warning", message="<u>" + "z" * 300 + "</u>", count=1, places=("<img src=//evil.example/a>",)
    )
    return base.model_copy(
        update={
            "rows": (row, *base.rows[1:]),
            "data": base.data.model_copy(update={"findings": (*base.data.findings, bad)}),
            "not_run": {"<a href=javascript:alert(3)>": "</main><h1>not ours</h1>"},
            "folder": "runs/it's here & <there>",
        }
    )


def nulls() -> Comparison:
    """Everything that may be missing is missing, what may be empty is empty, and the metric is not accuracy."""
    base = sample(strategies=3, test=90, seed=2)
    rows = [
        row.model_copy(update={"cost": row.cost.model_copy(update={"estimate": None, "peak_bytes": None}), "settings": {}})
        for row in base.rows
    ]
    assert base.learning_curve is not None
    empty = {"still_rises": None, "gain_low": None, "gain_high": None, "forecast_rows": None, "forecast": None}
    unknown = base.model.model_copy(update={"revision": None, "licence": None})
    return base.model_copy(
        update={
            "rows": tuple(rows),
            "task": base.task.model_copy(update={"metric": "macro_f1"}),
            "model": unknown,
            "models": (unknown,),
            "data": base.data.model_copy(
                update={"findings": (), "removed": 0, "columns": Columns(text=("text",), label="label", group="customer")}
            ),
            "recommended": base.recommended.model_copy(update={"would_change": ()}),
            "learning_curve": base.learning_curve.model_copy(update=empty),
            "mistakes": (),
            "machine": base.machine.model_copy(update={"accelerator": "NVIDIA H200", "versions": {}}),
        }
    )


def samples() -> dict[str, Comparison]:
    """The cases by which the report is judged."""
    return {
        "eight": sample(stopped="bias", forgetting=True, seed=5),
        "many_classes": sample(labels=banking_labels(), test=1540, seed=3),
        "two_classes": sample(labels=("no", "yes"), strategies=3, test=120, seed=5, curve=False),
        "hostile": hostile(),
        "nulls": nulls(),
    }
