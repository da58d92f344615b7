"""From answers to metrics, held against scikit-learn; speed is measured on the predictor and on nothing it remembers."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest
from sklearn import metrics as theirs

from hone.core.errors import NotEnough
from hone.evaluate import Metric, measure_speed, metrics_of, per_class, timing_seconds
from hone.evaluate.score import BATCH_ROWS, FEW_ROWS, ROUNDS, SINGLE_ROWS
from hone.measure import LABEL_METRICS, LabelMarks
from hone.strategy.scorers import softmax
from hone.task import Example

LABELS = ("a", "b", "c", "d")


class Remembers:
    """A predictor that notes what it is asked, and whether it may remember."""

    labels = LABELS

    def __init__(self, seconds: float = 0.0) -> None:
        self.asked: list[tuple[bool, list[str]]] = []
        self._seconds = seconds
        self._is_afresh = False

    def answer(self, examples: Sequence[Example]) -> np.ndarray:
        texts = [example.text for example in examples]
        self.asked.append((self._is_afresh, texts))
        time.sleep(self._seconds * len(texts))
        return np.array([[0.7, 0.1, 0.1, 0.1] if "a" in text else [0.1, 0.1, 0.1, 0.7] for text in texts])

    @contextmanager
    def computed_afresh(self) -> Iterator[None]:
        self._is_afresh = True
        yield
        self._is_afresh = False


def asked(*texts: str) -> list[Example]:
    return [Example(text, "", "x.csv", line) for line, text in enumerate(texts, 2)]


def answers(rows: int = 200, classes: int = 4, *, seed: int = 0) -> LabelMarks:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes - 1, size=rows)  # the last class never occurs
    return LabelMarks(truth, softmax(2 * rng.normal(size=(rows, classes)) + 1.5 * np.eye(classes)[truth]), "accuracy")


def test_every_metric_equals_scikit_learns():
    given = answers()
    found = metrics_of(given, seed=0)
    assert list(found) == [*LABEL_METRICS, "ece"]
    everything = {"labels": range(4), "zero_division": 0}
    expected = {"accuracy": theirs.accuracy_score(given.truth, given.predicted)}
    for average in ("macro", "weighted"):
        scores = theirs.precision_recall_fscore_support(given.truth, given.predicted, average=average, **everything)
        expected |= dict(zip((f"{average}_precision", f"{average}_recall", f"{average}_f1"), scores[:3], strict=True))
    assert {name: found[name].value for name in LABEL_METRICS} == pytest.approx(expected, abs=1e-12)


def test_the_calibration_error_is_that_of_ten_bins_of_equal_size():
    given = answers(rows=200)
    order = np.argsort(given.confidence)
    gaps = [abs(given.confidence[part].mean() - given.correct[part].mean()) for part in np.array_split(order, 10)]
    assert metrics_of(given, seed=0)["ece"].value == pytest.approx(np.mean(gaps), abs=1e-12)


def test_each_interval_holds_its_value_and_has_a_width():
    for rows in (2, 5, 200):
        for name, metric in metrics_of(answers(rows), seed=0).items():
            assert 0 <= metric.low <= metric.value <= metric.high <= 1, name
            assert metric.low < metric.high and metric.n == rows, name


def test_perfect_answers_are_no_certainty():
    perfect = LabelMarks(np.arange(40) % 4, np.eye(4)[np.arange(40) % 4], "accuracy")
    for name in LABEL_METRICS:
        metric = metrics_of(perfect, seed=0)[name]
        assert metric.value == metric.high == 1.0 and 0.8 < metric.low < 1.0


def test_more_rows_give_narrower_intervals():
    few, many = metrics_of(answers(50), seed=0), metrics_of(answers(800), seed=0)
    assert all(many[name].high - many[name].low < few[name].high - few[name].low for name in LABEL_METRICS)


def test_the_same_seed_gives_the_same_intervals_and_another_seed_the_same_values():
    first, again, other = (metrics_of(answers(), seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert {name: metric.value for name, metric in first.items()} == {name: metric.value for name, metric in other.items()}


def test_no_rows_are_refused_rather_than_scored_0():
    with pytest.raises(NotEnough):
        metrics_of(LabelMarks(np.zeros(0, dtype=np.int64), np.zeros((0, 4)), "accuracy"), seed=0)


def test_scores_per_class_and_the_confusion_table_equal_scikit_learns():
    given = answers()
    scores, confusion = per_class(given, LABELS)
    assert np.array_equal(confusion, theirs.confusion_matrix(given.truth, given.predicted, labels=range(4)))
    expected = theirs.precision_recall_fscore_support(given.truth, given.predicted, labels=range(4), zero_division=0)
    assert [one.label for one in scores] == list(LABELS)
    for kind, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        assert [getattr(one, kind) for one in scores] == pytest.approx(list(values), abs=1e-12)
    assert scores[3].support == 0


def test_speed_is_measured_afresh_with_a_warm_up_single_rows_and_batches():
    predictor = Remembers()
    texts = [f"text {index}" for index in range(300)]
    speed = measure_speed(predictor, asked(*texts), answered_seconds=0.5)
    assert speed.latency_ms_median > 0 and speed.latency_ms_p95 >= speed.latency_ms_median and speed.rows_per_second > 600
    assert all(is_afresh for is_afresh, _ in predictor.asked)
    warm_up, *single = [given for _, given in predictor.asked if len(given) == 1]
    assert warm_up == texts[:1] and single == [[text] for text in texts[:SINGLE_ROWS]]
    assert [given for _, given in predictor.asked if len(given) > 1] == [texts[:BATCH_ROWS]] * (ROUNDS - 1)


def test_on_a_slow_machine_a_second_of_each_kind_is_enough(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("hone.evaluate.score.ENOUGH", 0.05)
    predictor = Remembers(seconds=0.01)
    texts = [f"text {index}" for index in range(20)]
    speed = measure_speed(predictor, asked(*texts), answered_seconds=0.2)
    assert FEW_ROWS < len(predictor.asked) <= 1 + 5 and all(len(given) == 1 for _, given in predictor.asked)
    assert speed.rows_per_second == 100


def test_the_time_that_timing_takes_is_foreseen():
    assert timing_seconds(300, 0.0005) == pytest.approx(100 * 0.0005 + 2 * 128 * 0.0005)
    assert timing_seconds(300, 0.003) == pytest.approx(100 * 0.003 + 128 * 0.003), "0.9 s are gone by then"
    assert timing_seconds(300, 0.02) == pytest.approx(1.0)
    assert timing_seconds(300, 1.0) == pytest.approx(10.0), "three rows alone"


def test_speed_comes_in_milliseconds_and_rows_per_second():
    speed = measure_speed(Remembers(seconds=0.002), asked("a", "b", "c", "d", "e"), answered_seconds=0.01)
    assert 2 <= speed.latency_ms_median < 50
    assert 20 < speed.rows_per_second <= 500


def test_a_single_text_is_enough_to_measure_speed():
    assert measure_speed(Remembers(), asked("a"), answered_seconds=0.1).rows_per_second >= 10


def test_what_was_timed_already_is_not_answered_again():
    predictor = Remembers()
    speed = measure_speed(predictor, asked(*map(str, range(100))), answered_seconds=4.0, is_costly=True)
    assert speed.rows_per_second == 25.0
    assert [len(given) for _, given in predictor.asked] == [1, *[1] * FEW_ROWS]


def test_a_metric_survives_its_json_form():
    metric = metrics_of(answers(), seed=0)["macro_f1"]
    assert Metric.model_validate_json(metric.to_json()) == metric
