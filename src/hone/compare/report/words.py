"""Numbers and judgements in words, the same on the terminal and in the report.

Takes values of a Comparison, gives short texts. A value that was not measured is '-', never 0.
"""

from collections.abc import Sequence

from hone.compare.records import Comparison, Difference, LearningCurve, Row

__all__ = [
    "SIGNIFICANT",
    "budget_sentence",
    "forgetting_reason",
    "forgotten",
    "is_above",
    "is_right_or_wrong",
    "is_significant",
    "learning_sentence",
    "metric_name",
    "metric_phrase",
    "metric_unit",
    "milliseconds",
    "nearest_sentence",
    "p_value",
    "percent",
    "places_text",
    "plainest",
    "points",
    "row_of",
    "second_metric",
    "sentence",
    "shown",
    "signed",
    "task_phrase",
    "with_article",
]

SIGNIFICANT = 0.05
"""The usual level; the p values are already adjusted for the number of strategies and for the choice of the best."""


_METRICS = {
    "accuracy": "Accuracy",
    "macro_f1": "Macro F1",
    "macro_precision": "Macro precision",
    "macro_recall": "Macro recall",
    "weighted_f1": "Weighted F1",
    "weighted_precision": "Weighted precision",
    "weighted_recall": "Weighted recall",
    "ece": "Calibration error",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "rougeLsum": "ROUGE-Lsum",
    "bleu": "BLEU",
    "chrf": "chrF",
    "exact_match": "Exact match",
    "token_f1": "Token F1",
    "r2": "R²",
    "pearson": "Pearson",
    "spearman": "Spearman",
    "rmse": "RMSE",
    "mae": "MAE",
    "micro_f1": "Micro F1",
    "micro_precision": "Micro precision",
    "micro_recall": "Micro recall",
    "subset_accuracy": "Subset accuracy",
    "entity_f1": "Entity F1",
    "entity_precision": "Entity precision",
    "entity_recall": "Entity recall",
}
_PARTS = {"precision": "precision", "recall": "recall"}
_SECOND = {
    "accuracy": "macro_f1",
    "macro_f1": "accuracy",
    "weighted_f1": "macro_f1",
    "exact_match": "token_f1",
    "token_f1": "exact_match",
    "rougeL": "rouge2",
    "chrf": "bleu",
    "bleu": "chrf",
    "r2": "rmse",
    "pearson": "rmse",
    "micro_f1": "macro_f1",
    "entity_f1": "entity_recall",
}
_RIGHT_OR_WRONG = ("accuracy", "exact_match", "subset_accuracy")
_OF_KIND = {
    "text-generation": "rougeL",
    "regression": "rmse",
    "multi-label-classification": "micro_f1",
    "token-classification": "entity_f1",
}
_ERRORS = ("rmse", "mae")
_PLAINEST = {
    "first_sentences": "copying the first sentences",
    "constant": "always saying the same",
    "lookup": "giving each word its commonest tag",
}
_PROPER = ("pearson", "spearman")


def metric_name(name: str) -> str:
    """A metric's name for people; one that is not known keeps its own."""
    kind, _, part = name.rpartition("_")
    if part in _PARTS and kind.startswith("rouge"):
        return f"{_METRICS[kind]} {_PARTS[part]}"
    return _METRICS.get(name, name.replace("_", " "))


def metric_phrase(name: str) -> str:
    """As it stands within a sentence: 'macro F1', 'ROUGE-L'."""
    text = metric_name(name)
    return text[:1].lower() + text[1:] if text[1:2].islower() and name not in _PROPER else text


def with_article(name: str) -> str:
    """As `metric_phrase`, after 'reaches': 'a macro F1', 'an R²', 'ROUGE-L'."""
    text = metric_phrase(name)
    if name.startswith("rouge") or name in ("bleu", "chrf"):
        return text
    return f"an {text}" if text[0] in "aeiouR" else f"a {text}"


def second_metric(comparison: Comparison) -> str:
    """The metric that stands beside the one that ranks."""
    metric, kind = comparison.task.metric, comparison.task.kind
    if metric == "macro_f1" and kind == "multi-label-classification":
        return "micro_f1"
    return _SECOND.get(metric, _OF_KIND.get(kind, "macro_f1"))


def is_right_or_wrong(comparison: Comparison) -> bool:
    """Whether the metric is the share of rows that are right."""
    return comparison.task.metric in _RIGHT_OR_WRONG and comparison.task.kind != "token-classification"


def shown(value: float, metric: str) -> str:
    """A metric's value: in per cent, without the sign; errors of numbers in the rows' own unit."""
    return f"{value:.3g}" if metric in _ERRORS else points(value)


def metric_unit(metric: str) -> str:
    """Of `shown`: '%', or nothing where it is the rows' own."""
    return "" if metric in _ERRORS else "%"


def task_phrase(comparison: Comparison) -> str:
    """What kind of answers: '8 classes', 'written answers', 'a choice among up to 4', 'a number each'."""
    labels = len(comparison.task.labels)
    return {
        "text-classification": f"{labels} classes",
        "multiple-choice": f"a choice among up to {labels}",
        "text-generation": "written answers",
        "regression": "a number each",
        "multi-label-classification": f"several of {labels} labels",
        "token-classification": f"one of {labels} tags for every word",
    }[comparison.task.kind]


def percent(share: float) -> str:
    """A share in percent with one decimal: '91.3%'."""
    return f"{points(share)}%"


def points(share: float) -> str:
    """A share in percentage points with one decimal, without the sign '%': '91.3'."""
    text = f"{100 * share:.1f}"
    return "0.0" if text == "-0.0" else text


def signed(share: float, *, minus: str = "-") -> str:
    """A difference in percentage points that always carries its sign: '+1.2', '-4.0', '0.0'."""
    text = points(share)
    if text == "0.0":
        return text
    return text.replace("-", minus) if text.startswith("-") else f"+{text}"


def p_value(value: float) -> str:
    """A p value as journals print it: 'p < 0.001', 'p = 0.021'."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def milliseconds(value: float) -> str:
    """A latency with two to three significant digits: '4.2 ms', '38 ms', '1.3 s'."""
    if value < 9.95:
        return f"{value:.1f} ms"
    return f"{value:.0f} ms" if value < 999.5 else f"{value / 1000:.1f} s"


def sentence(text: str) -> str:
    """The text with a capital at its start and a full stop at its end."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def is_significant(difference: Difference | None) -> bool:
    """True when the row differs from the best beyond chance, after adjustment."""
    return difference is not None and difference.p_holm < SIGNIFICANT


def row_of(comparison: Comparison, strategy: str) -> Row | None:
    """The row of a strategy, or None when it has none."""
    return next((row for row in comparison.rows if row.strategy == strategy), None)


def forgetting_reason(comparison: Comparison) -> str | None:
    """Why no row has forgetting measured; None as soon as one has it."""
    if any(row.forgetting.mean is not None for row in comparison.rows):
        return None
    reasons = [row.forgetting.not_measured for row in comparison.rows if row.forgetting.not_measured]
    return sentence(reasons[0].removeprefix("not measured: ")) if reasons else "No reason was recorded."


def forgotten(row: Row, may_lose: float | None = None) -> str:
    """Points lost on average on tasks that were not trained: '1.2', '-0.4' where some were gained, '0' where nothing moved, '-' where it
    was not measured; with '!' above the budget."""
    found = row.forgetting
    if found.drop is None:
        return "-"
    return "0" if found.unchanged else points(found.drop) + ("!" if is_above(row, may_lose) else "")


def is_above(row: Row, may_lose: float | None) -> bool:
    """Whether a strategy is known to have lost more than it may."""
    return may_lose is not None and row.forgetting.drop is not None and not row.forgetting.is_within(may_lose)


def budget_sentence(comparison: Comparison) -> str:
    """Whether what is recommended keeps the budget of forgetting; empty where none was set."""
    if comparison.may_lose is None:
        return ""
    row = row_of(comparison, comparison.recommended.strategy)
    assert row is not None, "a comparison recommends one of its own rows"
    kept = "keeps" if row.forgetting.is_within(comparison.may_lose) else "does not keep"
    return f"{row.title} {kept} the budget of at most {comparison.may_lose:.1%} forgotten."


def plainest(row: Row) -> str:
    """What a row of the table does, in words, where it is a baseline itself that asks no model; else empty."""
    return _PLAINEST.get(row.strategy.partition("@")[0], "")


def nearest_sentence(comparison: Comparison) -> str:
    """Which strategy came nearest where none beats the baseline; empty where one does."""
    answer, metric = comparison.recommended, comparison.task.metric
    if answer.unbeaten is None:
        return ""
    nearest = next((row for row in comparison.rows if not plainest(row)), comparison.rows[0])
    found = nearest.metrics[metric]
    said = (
        f"Nearest: {nearest.title}, {found.value:.1%} {metric_phrase(metric)} (95% interval {found.low:.1%} to {found.high:.1%})."
    )
    row = row_of(comparison, answer.strategy)
    if row is None or row is nearest:
        return said
    return f"{said} The cheapest that is not distinguishably worse than the best is {row.title}."


def learning_sentence(curve: LearningCurve) -> str:
    """One sentence on whether more labelled rows would help."""
    gain = ""
    if curve.gain_low is not None and curve.gain_high is not None:
        gain = f" (all rows minus half of them: {signed(curve.gain_low)} to {signed(curve.gain_high)} points, 95% interval)"
    if curve.still_rises is None:
        return "Whether more labelled rows would help was not measured."
    if curve.is_at_the_top:
        return curve.TOP
    if curve.still_rises:
        return f"The curve still rises: more labelled rows would probably help{gain}."
    return f"No rise can be told from chance, so whether more labelled rows would help is open{gain}."


def places_text(places: Sequence[str], count: int, *, shown: int) -> str:
    """The first places and how many more there are: 'tickets.csv line 17, 48 and 32 more'."""
    texts: list[str] = []
    before = ""
    for place in places[:shown]:
        file, _, line = place.rpartition(" line ")
        texts.append(line if file and file == before else place)
        before = file
    more = count - len(texts)
    return ", ".join(texts) + (f" and {more:,} more" if more > 0 else "")
