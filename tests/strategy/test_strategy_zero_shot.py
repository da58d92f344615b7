"""Zero-shot and few-shot: labels as words, the content-free answer divided out, prototypes of examples."""

from collections.abc import Callable

import numpy as np
import pytest

from hone.strategy import STRATEGIES, EncoderBench
from hone.strategy.scorers import softmax
from hone.strategy.zero_shot import CONTENT_FREE, TEMPLATES, fit_scale, label_vectors

MakeBench = Callable[..., EncoderBench]


def test_a_content_free_text_gets_uniform_probabilities(make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch):
    """Source: Zhao 2021, https://arxiv.org/abs/2102.09690: after calibration the content-free input favours no class."""
    monkeypatch.setattr("hone.strategy.zero_shot.CONTENT_FREE", ("N/A",))
    bench = make_bench()
    for template in TEMPLATES:
        fitted = STRATEGIES["zero_shot"].fit(bench, {"template": template, "calibrated": "yes"})
        assert fitted.predictor.probabilities(["N/A"])[0] == pytest.approx(np.full(3, 1 / 3), abs=1e-9)


def test_several_content_free_texts_are_uniform_on_average_before_normalising(make_bench: MakeBench):
    bench = make_bench()
    calibrated = STRATEGIES["zero_shot"].fit(bench, {"template": "{label}", "calibrated": "yes"}).predictor
    scorer = calibrated.scorer  # type: ignore[attr-defined]
    cosines = bench.encoder.embed(CONTENT_FREE).astype(float) @ scorer.vectors.T
    divided = softmax(scorer.scale * cosines).mean(axis=0) / np.exp(scorer.content_free)
    assert divided == pytest.approx(np.ones(3), abs=1e-9)


def test_without_calibration_a_content_free_text_is_answered_as_it_comes(make_bench: MakeBench):
    plain = STRATEGIES["zero_shot"].fit(make_bench(), {"template": "{label}", "calibrated": "no"}).predictor
    assert np.ptp(plain.probabilities(["N/A"])[0]) > 1e-3


def test_calibration_changes_the_answers(make_bench: MakeBench):
    plain, calibrated = (
        STRATEGIES["zero_shot"].fit(make_bench(), {"template": "{label}", "calibrated": choice}) for choice in ("no", "yes")
    )
    assert not np.allclose(plain.validation, calibrated.validation, atol=1e-3)


def test_zero_shot_reads_no_training_row(make_bench: MakeBench):
    bench = make_bench()
    settings = STRATEGIES["zero_shot"].candidates(bench)[0]
    fitted, other = STRATEGIES["zero_shot"].fit(bench, settings), STRATEGIES["zero_shot"].fit(bench.with_train([]), settings)
    assert np.array_equal(fitted.validation, other.validation)


def test_label_vectors_have_length_one_and_follow_the_template(make_bench: MakeBench):
    bench = make_bench()
    vectors = label_vectors(bench, "please {label} today")
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(3), abs=1e-6)
    assert vectors == pytest.approx(bench.encoder.embed([f"please topic{i} today" for i in range(3)]), abs=1e-6)


def test_descriptions_decide_what_a_label_means(make_bench: MakeBench):
    """With descriptions that swap two topics the answers swap."""
    swapped = {"topic0": "t1w0 t1w1 t1w2 t1w3 t1w4 t1w5", "topic1": "t0w0 t0w1 t0w2 t0w3 t0w4 t0w5"}
    settings = {"template": "{label}", "calibrated": "no"}
    texts = ["t0w0 t0w1 t0w2 t0w3", "t1w0 t1w1 t1w2 t1w3"]
    plain = STRATEGIES["zero_shot"].fit(make_bench(), settings).predictor.probabilities(texts)
    told = STRATEGIES["zero_shot"].fit(make_bench(descriptions=swapped), settings).predictor.probabilities(texts)
    assert plain.argmax(axis=1).tolist() == [0, 1] and told.argmax(axis=1).tolist() == [1, 0]


@pytest.mark.parametrize("blank", [False, True])
def test_the_scale_is_the_best_on_a_fine_grid(blank: bool):
    rng = np.random.default_rng(1)
    targets = rng.integers(0, 3, size=80)
    cosines = 0.1 * rng.normal(size=(80, 3)) + 0.08 * np.eye(3)[targets]
    content_free = 0.1 * rng.normal(size=(2, 3)) if blank else None

    def loss(scale: float) -> float:
        offset = np.log(softmax(scale * content_free).mean(axis=0)) if content_free is not None else 0.0
        return float(-np.log(softmax(scale * cosines - offset)[np.arange(80), targets]).mean())

    found = fit_scale(cosines, targets, content_free)
    assert loss(found) <= min(loss(float(scale)) for scale in np.geomspace(1, 200, 400)) + 1e-6


def test_a_scale_without_any_evidence_stays_within_its_bounds():
    targets = np.array([0, 1, 2] * 5)
    assert 1.0 <= fit_scale(np.zeros((15, 3)), targets) <= 200.0
    assert 1.0 <= fit_scale(-np.eye(3)[targets], targets) < 1.1
    assert 100.0 < fit_scale(0.05 * np.eye(3)[targets], targets) <= 200.0


def test_few_shot_prototypes_are_the_mean_of_the_drawn_examples_and_the_label(make_bench: MakeBench):
    bench = make_bench()
    settings = {"k": 2, "draw": 3}
    fitted = STRATEGIES["few_shot"].fit(bench, settings)
    chosen = bench.draw_per_class(2, seed=bench.seed_for("few_shot", 3))
    vectors = bench.train_vectors().astype(float)
    for target in range(3):
        mine = [vectors[index] for index in chosen if bench.train_targets[index] == target]
        total = np.sum(mine, axis=0) + label_vectors(bench, "{label}")[target]
        assert len(mine) == 2
        assert fitted.predictor.scorer.vectors[target] == pytest.approx(total / np.linalg.norm(total))  # type: ignore[attr-defined]


def test_few_shot_asks_for_no_more_examples_than_the_largest_class_has(make_bench: MakeBench):
    def shots(*counts: int) -> set[int]:
        return {int(one["k"]) for one in STRATEGIES["few_shot"].candidates(make_bench(counts))}

    assert shots(1, 1, 1) == {1}
    assert shots(2, 4, 3) == {1, 2, 4}
    assert shots(2, 40, 3) == {1, 2, 4, 8, 16}


def test_the_draws_of_few_shot_differ(make_bench: MakeBench):
    bench = make_bench()
    answers = [STRATEGIES["few_shot"].fit(bench, {"k": 1, "draw": draw}).validation for draw in range(5)]
    assert all(not np.allclose(answers[0], other) for other in answers[1:])


def test_nearest_asks_for_no_more_neighbours_than_there_are_rows(make_bench: MakeBench):
    candidates = STRATEGIES["nearest"].candidates(make_bench((2, 1, 1)))
    assert {int(one["k"]) for one in candidates} == {1, 3}
