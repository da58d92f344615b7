"""The learning curve: the same settings on stratified parts of the training rows, scored on validation rows."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stubs import LABELS, Stub, entrants, make_bench, rows

from hone.compare.curve import DRAWS, learning_curve
from hone.compare.effort import CURVE_SHARES
from hone.compare.race import Finished, race
from hone.measure import forecast, paired_accuracy_interval
from hone.model import Encoder
from hone.strategy import EncoderBench


@pytest.fixture
def bench(tiny_encoder: Encoder, tmp_path: Path) -> EncoderBench:
    return make_bench(tiny_encoder, tmp_path / "work", train=32)


@pytest.fixture
def curve_of(bench: EncoderBench, tmp_path: Path):
    """`curve_of(stub)`: the curve of a strategy that has just run on the bench."""

    def curve(stub: Stub, *, bench: EncoderBench = bench, **options):
        finished: Finished = race(entrants(bench, [stub]), tmp_path / "strategies", embed_seconds=0.0)[0]
        stub.fits.clear()
        return learning_curve(finished, **options)

    return curve


def rising(bench: EncoderBench, _settings: object, _share: float) -> float:
    """0.9 with all 96 rows, then 0.15 less for each halving."""
    return {96: 0.9, 48: 0.75, 24: 0.6, 12: 0.45}[len(bench.train)]


def test_a_strategy_that_lives_on_rows_still_rises(bench: EncoderBench, curve_of):
    curve = curve_of(Stub("head", rising))
    assert curve.strategy == "head"
    assert [(point.rows, point.value) for point in curve.points] == [(12, 0.45), (24, 0.6), (48, 0.75), (96, 0.9)]
    assert curve.still_rises is True
    rows_seen = np.arange(len(bench.validation))
    interval = paired_accuracy_interval(rows_seen < 108, rows_seen < 90)
    assert (curve.gain_low, curve.gain_high) == (interval.low, interval.high)


def test_a_strategy_that_needs_no_rows_does_not_rise(curve_of):
    curve = curve_of(Stub("zero_shot", 0.8))
    assert curve.still_rises is False and curve.gain_low <= 0 <= curve.gain_high
    assert [point.value for point in curve.points] == pytest.approx([0.8] * 4)


def test_a_gain_within_chance_is_no_rise(curve_of):
    curve = curve_of(Stub("head", lambda bench, *_: 0.8 if len(bench.train) == 96 else 0.78))
    assert curve.points[-1].value > curve.points[-2].value
    assert curve.still_rises is False and curve.gain_low < 0 < curve.gain_high


def test_a_strategy_that_gets_worse_with_rows_does_not_rise(curve_of):
    assert curve_of(Stub("odd", lambda bench, *_: 1 - rising(bench, None, 1.0))).still_rises is False


def test_the_forecast_is_that_of_the_fitted_curve_at_twice_the_rows(curve_of):
    curve = curve_of(Stub("head", rising))
    assert curve.forecast_rows == 192
    assert curve.forecast == forecast([12, 24, 48, 96], [0.45, 0.6, 0.75, 0.9], at=192)
    assert 0.9 < curve.forecast <= 1


def test_a_fit_below_what_all_rows_reach_is_no_forecast(curve_of):
    curve = curve_of(Stub("head", lambda bench, *_: {96: 1.0, 48: 0.94, 24: 0.8, 12: 0.72}[len(bench.train)]))
    assert curve.still_rises is True and curve.is_at_the_top
    assert curve.forecast_rows is None and curve.forecast is None


def test_the_parts_hold_the_same_share_of_each_class_and_only_training_rows(bench: EncoderBench, curve_of):
    seen: list[EncoderBench] = []
    curve_of(Stub("head", lambda part, *_: seen.append(part) or 0.8))
    parts = [part.train for part in seen if len(part.train) < 96]
    assert [len(part) for part in parts] == [12] * DRAWS + [24] * DRAWS + [48] * DRAWS
    for part in parts:
        assert set(Counter(example.label for example in part).values()) == {len(part) // 3}
        assert len({example.text for example in part}) == len(part)
        assert {example.text for example in part} <= {example.text for example in bench.train}
    assert all(part.validation == bench.validation for part in seen)


def test_the_draws_of_a_share_differ_and_are_the_same_again(curve_of):
    def drawn() -> list[list[str]]:
        found: list[list[str]] = []
        curve_of(Stub("head", lambda part, *_: found.append([example.text for example in part.train]) or 0.8))
        return [part for part in found if len(part) < 96]

    first = drawn()
    assert len({tuple(part) for part in first}) == len(first) == DRAWS * len(CURVE_SHARES)
    assert drawn() == first


def test_a_point_shows_the_mean_and_the_spread_of_its_draws(curve_of):
    scores = iter([0.9, 0.3, 0.6, 0.45, *[0.8] * 6])
    point = curve_of(Stub("head", lambda *_: next(scores))).points[0]
    assert (point.value, point.low, point.high) == (pytest.approx(0.45), 0.3, 0.6)


def test_what_trains_is_fitted_once_per_share_with_the_chosen_settings_and_length(bench: EncoderBench, curve_of):
    stub = Stub("lora", lambda _, settings, __: 0.5 + 0.1 * settings["value"], moves_weights=True, values=(1.0, 3.0, 2.0))
    curve = curve_of(stub)
    assert stub.fits == [(3.0, 1.0)] * len(CURVE_SHARES)
    assert all(point.low == point.value == point.high for point in curve.points)


def test_shares_that_would_leave_the_smallest_class_without_a_row_are_dropped(bench: EncoderBench, curve_of):
    train = [example for example in rows(32, "train") if example.label != LABELS[2]] + rows(4, "rare", LABELS[2:])
    curve = curve_of(Stub("head", 0.8), bench=replace(bench, train=train))
    assert [point.rows for point in curve.points] == [16 + 1, 32 + 2, 68]
    assert curve.still_rises is False and curve.forecast_rows == 136


def test_a_class_of_two_rows_leaves_one_share_and_no_forecast(bench: EncoderBench, curve_of):
    train = [example for example in rows(32, "train") if example.label != LABELS[2]] + rows(2, "rare", LABELS[2:])
    curve = curve_of(Stub("head", 0.8), bench=replace(bench, train=train))
    assert len(curve.points) == 2 and curve.forecast_rows is None and curve.forecast is None
    assert curve.still_rises is False


@pytest.mark.parametrize("left", [0, 1])
def test_a_class_with_no_row_or_one_gives_no_curve(bench: EncoderBench, curve_of, left: int):
    train = [example for example in rows(32, "train") if example.label != LABELS[2]] + rows(left, "rare", LABELS[2:])
    assert curve_of(Stub("head", 0.8), bench=replace(bench, train=train)) is None


def test_without_the_half_nothing_is_said_about_rising(curve_of):
    curve = curve_of(Stub("head", rising), shares=(0.125, 0.25))
    assert (curve.still_rises, curve.gain_low, curve.gain_high) == (None, None, None)
    assert curve.forecast_rows == 192


def test_the_points_are_in_the_metric_of_the_task(bench: EncoderBench, curve_of, tmp_path: Path):
    other = make_bench(bench.encoder, tmp_path / "work", train=32, metric="macro_f1")
    plain, by_f1 = curve_of(Stub("head", rising)), curve_of(Stub("other", rising), bench=other)
    assert [point.value for point in plain.points] != [point.value for point in by_f1.points]
    from sklearn.metrics import f1_score
    from stubs import right_answers

    answers = right_answers(other.validation_targets, 0.9).argmax(axis=1)
    assert by_f1.points[-1].value == pytest.approx(f1_score(other.validation_targets, answers, average="macro"))
