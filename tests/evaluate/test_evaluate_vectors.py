"""What an encoder is for beside the task: what its vectors say to pairs of sentences and to questions, before and after."""

import json

import numpy as np
import pytest
from scipy.stats import spearmanr

from hone.core.errors import BadData, HoneError
from hone.evaluate import answer_vectors, bundled_vector_tasks, find_vector_tasks, measure_vector_forgetting
from hone.evaluate.vectors import VectorAnswers, VectorTask, read_vector_task
from hone.measure import mcnemar_exact, spearman, spearman_draws

SIMILAR, FIND = bundled_vector_tasks()


def letters(texts):
    """Vectors by counts of letters: crude, and yet they know something."""
    return np.array([[text.lower().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts], dtype=np.float32)


def noise(texts):
    """Vectors by the text's own lot."""
    return np.stack([np.random.default_rng(sum(text.encode()) * len(text)).normal(size=16) for text in texts]).astype(np.float32)


def alike(texts):
    return np.ones((len(texts), 4), dtype=np.float32)


def lost(before, after, tasks=(SIMILAR, FIND), seed=0):
    return measure_vector_forgetting(tasks, answer_vectors(tasks, before), answer_vectors(tasks, after), seed=seed)


def test_the_bundled_tasks_are_those_of_the_suite():
    assert (SIMILAR.name, SIMILAR.metric, len(SIMILAR)) == ("similar", "spearman", 128)
    assert (FIND.name, FIND.metric, len(FIND)) == ("find", "recall@1", 121)


def test_the_correlation_is_scipys_with_ties():
    rng = np.random.default_rng(0)
    for _ in range(5):
        a, b = rng.integers(6, size=40), rng.normal(size=40)
        assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)
    found = spearman(SIMILAR.scores, answer_vectors([SIMILAR], letters)["similar"].values)
    one, other = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in map(letters, (SIMILAR.left, SIMILAR.right)))
    assert found == pytest.approx(spearmanr((one * other).sum(axis=1), SIMILAR.scores).statistic, abs=1e-3)
    assert found > 0.3


def test_resamples_of_the_correlation_spread_as_scipys_do():
    rng = np.random.default_rng(1)
    a = rng.normal(size=60)
    b = a + rng.normal(size=60)
    drawn = spearman_draws(a, [b, -b], draws=500, seed=3)
    assert drawn.shape == (2, 500)
    assert np.allclose(drawn[0], -drawn[1])
    chosen = np.random.default_rng(3).integers(60, size=(500, 60))
    assert drawn[0][:5].tolist() == pytest.approx([spearmanr(a[at], b[at]).statistic for at in chosen[:5]])


def test_an_encoder_that_did_not_move_lost_nothing_and_its_length_does_not_count():
    found = lost(letters, lambda texts: 3 * letters(texts))
    assert [task.drop.mid for task in found.tasks] == pytest.approx([0, 0])
    assert found.mean.low <= 0 <= found.mean.high
    assert found.tasks[1].mrr_before == found.tasks[1].mrr_after


def test_vectors_that_mean_nothing_lost_what_the_others_knew():
    found = lost(letters, noise)
    similar, find = found.tasks
    assert similar.drop.low > 0.1
    assert find.drop.low > 0
    assert find.mrr_before > find.mrr_after
    assert found.mean.mid == pytest.approx((similar.drop.mid + find.drop.mid) / 2)
    assert found.mean.low > 0.1
    back = lost(noise, letters)
    assert back.mean.mid == pytest.approx(-found.mean.mid)
    assert back.mean.high < -0.1


def test_recall_is_tested_by_mcnemar_on_the_same_questions():
    before, after = (answer_vectors([FIND], embed)["find"].values for embed in (letters, noise))
    assert lost(letters, noise).tasks[1].p_value == pytest.approx(mcnemar_exact(before <= 1, after <= 1))


def test_vectors_that_are_all_alike_find_nothing_and_order_nothing():
    found = answer_vectors([SIMILAR, FIND], alike)
    assert set(found["find"].values) == {121.0}
    assert spearman(SIMILAR.scores, found["similar"].values) == 0


def test_two_questions_on_one_passage_both_find_it():
    questions = tuple(f"q{at}" for at in range(10))
    task = VectorTask("shared", "recall@1", questions, ("same",) * 2 + tuple(f"p{at}" for at in range(2, 10)), ())
    axes = {"same": 0, **{text: at for at, text in enumerate(questions)}, "q1": 0, **{f"p{at}": at for at in range(2, 10)}}
    found = answer_vectors([task], lambda texts: np.eye(10, dtype=np.float32)[[axes[text] for text in texts]])
    assert found["shared"].values.tolist() == [1.0] * 10


def test_the_interval_of_the_mean_holds_the_truth_in_most_draws_of_the_items():
    rng = np.random.default_rng(5)
    size, hits = 3000, 0
    truth = rng.integers(6, size=size).astype(float)
    before, after = truth + rng.normal(size=size) * 2, truth + rng.normal(size=size) * 4
    whole = spearman(truth, before) - spearman(truth, after)
    for at in range(60):
        chosen = rng.choice(size, size=120, replace=False)
        task = VectorTask("drawn", "spearman", ("a",) * 120, ("b",) * 120, tuple(truth[chosen]))
        found = measure_vector_forgetting(
            [task], {"drawn": VectorAnswers(before[chosen])}, {"drawn": VectorAnswers(after[chosen])}, seed=at
        )
        hits += found.mean.low <= whole <= found.mean.high
    assert 51 <= hits <= 60


def test_a_file_is_known_by_its_columns_and_other_names_are_left(tmp_path):
    rows = [{"query": f"q{at}", "passage": f"p{at}"} for at in range(10)]
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    other = tmp_path / "texts.jsonl"
    other.write_text('{"text": "a"}\n', encoding="utf-8")
    found, left = find_vector_tasks(("bundled", str(path), "grammar", str(other)))
    assert [task.name for task in found] == ["similar", "find", "mine"]
    assert left == ["bundled", "grammar", str(other)]
    assert find_vector_tasks(("find",)) == ([FIND], [])
    with pytest.raises(BadData, match="twice"):
        find_vector_tasks(("bundled", "find"))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"sentence1": "a", "sentence2": "b", "score": "high"}] * 10, "line 1: the score 'high' is no number"),
        ([{"query": "a", "passage": "b"}] * 9, "9 rows"),
        ([{"query": "a", "passage": "b"}] * 10 + [{"query": "a"}], "line 11: 'passage' is missing"),
        ([{"sentence1": "a", "sentence2": "b", "score": 1}] * 10, "all scores are 1"),
        ([{"text": "a"}] * 10, "neither"),
    ],
)
def test_a_file_that_cannot_be_asked_is_refused_with_its_line(tmp_path, rows, said):
    path = tmp_path / "bad.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with pytest.raises(HoneError, match=said):
        read_vector_task(path)
