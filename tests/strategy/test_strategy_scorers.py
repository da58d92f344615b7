"""Scorers: plain arithmetic, so each is held against a slow re-statement or against scikit-learn."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from hone.strategy.head import fit_linear
from hone.strategy.scorers import LinearHead, Neighbours, Prototypes, load_scorer, save_scorer, softmax

RNG = np.random.default_rng(0)


def unit(rows: int, width: int = 8) -> np.ndarray:
    vectors = RNG.normal(size=(rows, width))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


SCORERS = {
    "prototypes": Prototypes(unit(3), 17.25, RNG.normal(size=3)),
    "neighbours": Neighbours(unit(12).astype(np.float32), RNG.integers(0, 3, size=12), 3, 5, 0.05),
    "linear": LinearHead(RNG.normal(size=(3, 8)), RNG.normal(size=3)),
}


def test_softmax_is_the_definition():
    logits = RNG.normal(size=(4, 5))
    assert softmax(logits) == pytest.approx(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), abs=1e-15)


def test_softmax_bears_huge_numbers():
    assert softmax(np.array([[1e6, 0.0], [-1e6, -1e6]])) == pytest.approx(np.array([[1.0, 0.0], [0.5, 0.5]]))


@pytest.mark.parametrize("name", SCORERS)
def test_a_scorer_gives_shares_of_one_for_every_row(name: str):
    answers = SCORERS[name].probabilities(unit(7).astype(np.float32))
    assert answers.shape == (7, 3) and answers.dtype == np.float64
    assert (answers > 0).all() and answers.sum(axis=1) == pytest.approx(np.ones(7), abs=1e-12)


@pytest.mark.parametrize("name", SCORERS)
def test_no_rows_get_no_answers(name: str):
    assert SCORERS[name].probabilities(np.zeros((0, 8), dtype=np.float32)).shape == (0, 3)


@pytest.mark.parametrize("name", SCORERS)
def test_a_saved_scorer_is_read_back_with_every_number_and_its_type(name: str, tmp_path: Path):
    scorer, vectors = SCORERS[name], unit(7).astype(np.float32)
    save_scorer(scorer, tmp_path / "new")
    found = load_scorer(tmp_path / "new")
    assert type(found) is type(scorer)
    for field, value in vars(scorer).items():
        back = getattr(found, field)
        if isinstance(value, np.ndarray):
            assert back.dtype == value.dtype and np.array_equal(back, value)
        else:
            assert type(back) is type(value) and back == value
    assert np.array_equal(found.probabilities(vectors), scorer.probabilities(vectors))


def test_saving_keeps_arrays_whose_memory_is_laid_out_by_columns(tmp_path: Path):
    weight = np.asfortranarray(RNG.normal(size=(3, 8)))
    save_scorer(LinearHead(weight, np.zeros(3)), tmp_path)
    assert np.array_equal(load_scorer(tmp_path).weight, weight)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.05), (4, 0.02), (9, 0.1), (30, 1.0), (99, 0.05)])
def test_neighbours_vote_as_a_slow_restatement_says(k: int, temperature: float):
    rows, targets, asked = unit(30).astype(np.float32), RNG.integers(0, 4, size=30), unit(11).astype(np.float32)
    expected = np.zeros((11, 5))
    for at, text in enumerate(asked):
        likeness = [(float(np.dot(text, row)), int(target)) for row, target in zip(rows, targets, strict=True)]
        nearest = sorted(likeness, reverse=True)[:k]
        total = sum(np.exp(cosine / temperature) for cosine, _ in nearest)
        for cosine, target in nearest:
            expected[at, target] += 0.99 * np.exp(cosine / temperature) / total
        expected[at] += 0.01 / 5
    assert Neighbours(rows, targets, 5, k, temperature).probabilities(asked) == pytest.approx(expected, abs=1e-4)


def test_neighbours_answer_a_text_alike_in_blocks_and_alone():
    scorer, asked = SCORERS["neighbours"], unit(1030).astype(np.float32)
    together = scorer.probabilities(asked)
    for index in (0, 1023, 1024, 1029):
        assert together[index] == pytest.approx(scorer.probabilities(asked[index : index + 1])[0], abs=1e-4)


def test_prototypes_divide_the_content_free_answer_out():
    vectors, blank = unit(3), unit(1)
    logs = np.log(softmax(9.0 * blank @ vectors.T))[0]
    assert Prototypes(vectors, 9.0, logs).probabilities(blank) == pytest.approx(np.full((1, 3), 1 / 3))


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("penalty", [0.3, 10.0])
def test_a_linear_head_answers_as_scikit_learn_does(classes: int, penalty: float):
    centres, targets = 3 * unit(classes), RNG.integers(0, classes, size=60)
    vectors = (centres[targets] + RNG.normal(size=(60, 8))).astype(np.float32)
    asked = RNG.normal(size=(20, 8)).astype(np.float32)
    head = fit_linear(vectors, targets, classes=classes, inverse_penalty=penalty)
    theirs = LogisticRegression(C=penalty, max_iter=500).fit(vectors, targets)
    assert head.probabilities(asked) == pytest.approx(theirs.predict_proba(asked.astype(np.float64)), abs=1e-6)


@pytest.mark.parametrize("present", [(1, 3), (0, 2, 3)])
def test_a_class_without_a_row_is_given_never_and_the_others_as_if_it_were_not_there(present: tuple[int, ...]):
    targets = np.array(present)[RNG.integers(0, len(present), size=60)]
    vectors = (3 * unit(5)[targets] + RNG.normal(size=(60, 8))).astype(np.float32)
    answers = fit_linear(vectors, targets, classes=5, inverse_penalty=1.0).probabilities(vectors)
    absent = [index for index in range(5) if index not in present]
    assert answers[:, absent].max() < 1e-9
    theirs = LogisticRegression(C=1.0, max_iter=500).fit(vectors, targets).predict_proba(vectors.astype(np.float64))
    assert answers[:, list(present)] == pytest.approx(theirs, abs=1e-6)


def test_a_single_class_is_given_always():
    head = fit_linear(unit(6).astype(np.float32), np.full(6, 2), classes=4, inverse_penalty=1.0)
    assert head.probabilities(unit(5))[:, 2].min() > 1 - 1e-9
