"""Every way to answer rows with a number, several labels or a tag for every word keeps the promises of those that answer a class."""

import random

import numpy as np
import pytest

from hone.core.errors import Usage
from hone.strategy import Effort, EncoderBench, check_names, encoder_strategies, load_predictor
from hone.task import Example, MultiLabelled, Passage, Scored, Tagged

KINDS = ("regression", "multi-label-classification", "token-classification", "question-answering")
LABELS = {
    "regression": (),
    "multi-label-classification": ("topic0", "topic1", "topic2"),
    "token-classification": ("B-T", "I-T", "O"),
    "question-answering": (),
}
METRICS = {
    "regression": "r2",
    "multi-label-classification": "micro_f1",
    "token-classification": "entity_f1",
    "question-answering": "token_f1",
}
EVERY = [(kind, name) for kind in KINDS for name in encoder_strategies(kind)]

every = pytest.mark.parametrize(("kind", "name"), EVERY, ids=lambda value: value)


def rows(kind, count, *, seed):
    """Texts of words of three topics: how many are of the first, which topics there are, where the first topic stands."""
    rng, made = random.Random(seed), []
    for line in range(2, count + 2):
        tokens, tags = [], []
        for topic in rng.choices(range(3), k=rng.randint(1, 4)):
            mine = [f"t{topic}w{rng.randrange(6)}" for _ in range(rng.randint(1, 2))]
            tokens += [*mine, "the"]
            tags += [*(["B-T", "I-T"][: len(mine)] if topic == 0 else ["O"] * len(mine)), "O"]
        text = " ".join(tokens)
        if kind == "regression":
            row = Scored(text, 10.0 + 2.0 * sum(word.startswith("t0") for word in tokens), "made", line)
            made.append(Example(text, str(row.score), "made", line, row=row))
        elif kind == "question-answering":
            tokens.insert(rng.randrange(len(tokens)), word := f"t5w{rng.randrange(6)}")
            text = " ".join(tokens)
            row = Passage("topic5", text, (word,), (text.index(word),), "made", line)
            made.append(Example(f"{text}\n\ntopic5", word, "made", line, row=row))
        elif kind == "token-classification":
            made.append(Example(text, " ".join(tags), "made", line, row=Tagged(tuple(tokens), tuple(tags), "made", line)))
        else:
            found = tuple(sorted({f"topic{word[1]}" for word in tokens if word != "the"}))
            made.append(Example(text, ", ".join(found), "made", line, row=MultiLabelled(text, found, "made", line)))
    return made


@pytest.fixture
def make(encoder, tmp_path):
    """A bench of so many training rows of a kind."""

    def made(kind, count=60, **changes):
        values = {
            "labels": LABELS[kind],
            "descriptions": {},
            "train": rows(kind, count, seed=1),
            "validation": rows(kind, 25, seed=2),
            "encoder": encoder,
            "metric": METRICS[kind],
            "seed": 0,
            "effort": Effort(epochs=6.0, arms=1, batch_rows=8),
            "work": tmp_path / "work",
            "kind": kind,
        }
        return EncoderBench(**(values | changes))

    return made


@pytest.fixture(scope="module")
def kept():
    return {}


@pytest.fixture
def fitted(kind, name, kept, make):
    """The strategy's first candidate on the standard bench, which tests only read."""
    if (kind, name) not in kept:
        bench, strategy = make(kind), encoder_strategies(kind)[name]
        kept[kind, name] = strategy.fit(bench, strategy.candidates(bench)[0])
    return kept[kind, name]


def same(one, other):
    return one == other if isinstance(one, tuple) else np.allclose(one, other, atol=1e-5)


@every
def test_answers_fit_the_rows_and_their_score_is_told(kind, name, fitted, make):
    bench = make(kind)
    assert bench.key.fits(fitted.validation) and fitted.score == bench.score(fitted.validation)
    if kind == "token-classification":
        lengths = [len(example.row.tokens) for example in bench.validation]
        assert [len(said.split()) for said in fitted.validation] == lengths
    assert bench.key.fits(fitted.predictor.answer(bench.validation)) and same(
        fitted.predictor.answer(bench.validation), fitted.validation
    )


@every
def test_what_is_saved_answers_as_what_was_fitted(kind, name, fitted, make, tmp_path):
    new = rows(kind, 9, seed=5)
    fitted.predictor.save(tmp_path / "saved")
    loaded = load_predictor(tmp_path / "saved", precision="fp32")
    assert same(loaded.answer(new), fitted.predictor.answer(new)) and loaded.labels == LABELS[kind]


@every
def test_an_answer_depends_on_no_neighbour_and_on_no_right_answer(kind, name, fitted):
    new = rows(kind, 6, seed=7)
    together = fitted.predictor.answer(new)
    alone = [fitted.predictor.answer([Example(row.text, "", "", 1)]) for row in new]
    assert same(together, tuple(one[0] for one in alone) if isinstance(together, tuple) else np.concatenate(alone))


@every
def test_the_same_bench_gives_the_same_answers_and_other_rows_others(kind, name, fitted, make):
    strategy, bench = encoder_strategies(kind)[name], make(kind)
    again = strategy.fit(bench, strategy.candidates(bench)[0])
    assert same(again.validation, fitted.validation)
    assert strategy.steps(bench, strategy.candidates(bench)[0]) > 0 or not strategy.moves_weights


@pytest.mark.parametrize("kind", KINDS)
def test_full_fine_tuning_learns_what_the_plainest_answer_does_not_know(kind, make):
    bench = make(kind, 150, effort=Effort(epochs=30.0, arms=1, batch_rows=8))
    ways = encoder_strategies(kind)
    plain = next(one for one in ways.values() if not one.reads_model)
    least = plain.fit(bench, plain.candidates(bench)[0])
    tuned = ways["full"].fit(bench, {"learning_rate": 3e-3, "epochs": 30.0, "batch_rows": 8})
    assert tuned.score > least.score + 0.15


@pytest.mark.parametrize("kind", KINDS[:2])
@pytest.mark.parametrize("name", ["nearest", "head"])
def test_sentence_vectors_tell_something_of_the_answer(kind, name, make):
    bench, strategy = make(kind, 200), encoder_strategies(kind)[name]
    constant = encoder_strategies(kind)["constant"]
    least = max(constant.fit(bench, one).score for one in constant.candidates(bench))
    assert max(strategy.fit(bench, one).score for one in strategy.candidates(bench)) > least + 0.05


def test_always_the_mean_explains_nothing_and_a_word_has_its_commonest_tag(make):
    bench = make("regression")
    constant = encoder_strategies("regression")["constant"]
    found = constant.fit(bench, constant.candidates(bench)[0])
    assert np.ptp(found.validation) == 0 and found.validation[0] == np.mean([row.row.score for row in bench.train])
    assert found.score <= 0
    lookup = encoder_strategies("token-classification")["lookup"]
    said = lookup.fit(make("token-classification"), {"seen": 1}).predictor.answer([Example("t1w0 the never", "", "", 1)])
    assert said == ("O O O",)


def test_numbers_are_answered_in_their_own_unit_before_and_after_saving(make, tmp_path):
    bench = make("regression")
    found = encoder_strategies("regression")["full"].fit(bench, {"learning_rate": 1e-3, "epochs": 2.0, "batch_rows": 8})
    assert 8 < found.validation.mean() < 20
    found.predictor.save(tmp_path / "saved")
    assert load_predictor(tmp_path / "saved", precision="fp32").answer(bench.validation) == pytest.approx(
        found.validation, abs=1e-4
    )


def test_words_behind_the_context_are_outside(make):
    bench = make("token-classification")
    tuned = encoder_strategies("token-classification")["bias"]
    predictor = tuned.fit(bench, tuned.candidates(bench)[0], share=0.1).predictor
    (said,) = predictor.answer([Example(" ".join(["t0w1"] * 100), "", "", 1)])
    assert len(said.split()) == 100 and said.split()[-20:] == ["O"] * 20


def test_labels_that_no_training_row_has_are_never_said_and_those_of_all_always(make):
    bench = make("multi-label-classification", 30, labels=("absent", "topic0", "topic1", "topic2"))
    head = encoder_strategies(bench.kind)["head"]
    assert head.fit(bench, {"C": 3.0}).validation[:, 0].max() < 0.01


def test_strategies_of_every_kind_can_be_named():
    check_names(["constant", "lookup", "head", "lora"])
    with pytest.raises(Usage, match="constnt"):
        check_names(["constnt"])
    assert encoder_strategies("text-generation") == {}
