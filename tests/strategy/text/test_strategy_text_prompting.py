"""What stands in a prompt, by which rule an answer is chosen, and what inference parameters add to it."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hone.measure import first_sentences
from hone.model import Generated, Likelihood, Sampling, Spent
from hone.strategy import TEXT_STRATEGIES, Effort, TextBase, TextBench
from hone.strategy.text.answering import RULES, Asked, probabilities, score_options, write_texts
from hone.strategy.text.form import Form, Shot, fitting
from hone.strategy.text.predictor import Closest, Fixed
from hone.strategy.text.prompting import shots_for
from hone.task import Example, bundled_templates
from tiny_words import save_word_model

MakeBench = Callable[..., TextBench]
PLAIN = bundled_templates("classification")[0]


class Stub:
    """A model at the door: tokens are words, its likelihoods and texts are what a test says."""

    name, context_length = "stub", 1000

    def __init__(
        self,
        likelihood: Callable[[str, str], float] | None = None,
        says: Callable[[str, Sampling], str] | None = None,
        *,
        length: int = 1000,
    ) -> None:
        self._likelihood, self._says, self.context_length = likelihood, says, length
        self.asked: list[str] = []

    @property
    def can_score(self) -> bool:
        return self._likelihood is not None

    def score(self, prompts: Sequence[str], continuations: Sequence[str], *, bar: object = None) -> list[Likelihood]:
        assert self._likelihood is not None
        self.asked += prompts
        return [
            Likelihood(log_likelihood=self._likelihood(prompt, text), tokens=len(text.split()), is_greedy=False)
            for prompt, text in zip(prompts, continuations, strict=True)
        ]

    def generate(self, prompts: Sequence[str], sampling: Sampling, *, bar: object = None) -> list[list[Generated]]:
        assert self._says is not None
        self.asked += prompts
        return [[Generated(text=self._says(prompt, sampling), ids=(), log_likelihood=0.0, finish="end")] for prompt in prompts]

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    def spent(self) -> Spent:
        raise AssertionError("nobody asks")


def asked(*texts: str, options: tuple[str, ...] = ("boats", "bread pudding"), shots: tuple[Shot, ...] = ()) -> list[Asked]:
    return [Asked(Form(PLAIN, True, shots), text, options) for text in texts]


def by_words(prompt: str, text: str) -> float:
    """Longer options are less likely, by two each word; 'sail' speaks for boats; 'N/A' and its like for nothing."""
    return -2.0 * len(text.split()) + (3.0 if "sail" in prompt and "boats" in text else 0.0)


def test_the_sum_rule_takes_the_likelihoods_as_they_are():
    found = score_options(Stub(by_words), asked("a sail", "an oven"), rules=RULES)
    assert found.sums.tolist() == [[1, -4], [-2, -4]] and found.tokens.tolist() == [[1, 2], [1, 2]]
    assert found.weighed("sum").tolist() == found.sums.tolist()


def test_the_mean_rule_divides_by_the_tokens_of_each_option():
    found = score_options(Stub(by_words), asked("a sail", "an oven"), rules=RULES)
    assert found.weighed("mean").tolist() == [[1, -2], [-2, -2]]


def test_the_pmi_rule_takes_off_what_the_options_are_worth_without_the_question():
    model = Stub(lambda prompt, text: by_words(prompt, text) - (10.0 if prompt == "Answer:" else 0.0))
    found = score_options(model, asked("a sail", "an oven"), rules=RULES)
    assert found.premise.tolist() == [[-12, -14], [-12, -14]]
    assert found.weighed("pmi").tolist() == [[13, 10], [10, 10]]
    assert set(model.asked) >= {"Answer:"}


def test_the_calibrated_rule_answers_evenly_where_the_text_says_nothing():
    """Zhao 2021: the answer to content-free texts is divided out."""
    found = score_options(Stub(by_words), asked("a sail", "N/A", ""), rules=RULES)
    evened = probabilities(found.weighed("calibrated"), 1.0)
    assert evened[1:] == pytest.approx(np.full((2, 2), 0.5)) and evened[0, 0] > 0.9
    assert probabilities(found.weighed("sum"), 1.0)[1, 0] == pytest.approx(1 / (1 + np.exp(-2)))


def test_content_free_answers_are_averaged_as_probabilities():
    """Over 'N/A', '[MASK]' and the empty text, as in the paper, of which one speaks for the second option."""

    def likelihood(prompt: str, text: str) -> float:
        return float(np.log(0.75 if ("[MASK]" in prompt) == ("bread" in text) else 0.25))

    model = Stub(likelihood)
    found = score_options(model, asked("a sail"), rules=RULES)
    assert PLAIN.render("", options=("boats", "bread pudding")) in {prompt.rstrip() for prompt in model.asked}
    mean = (2 * 0.75 + 0.25) / 3
    assert found.content_free is not None and np.exp(found.content_free) == pytest.approx([mean, 1 - mean])


def test_questions_without_content_stand_behind_as_many_examples_as_fit_beside_them():
    shots = tuple(Shot(text=f"{word} " * 30, answer="boats") for word in ("one", "two", "three"))
    model = Stub(by_words, length=100)
    score_options(model, asked("a sail", shots=shots), rules=RULES)
    assert all("three" in prompt and "one" not in prompt for prompt in model.asked if prompt != "Answer:")


def test_options_that_differ_from_row_to_row_have_no_common_content_free_answer():
    rows = [*asked("a", options=("boats", "bread")), *asked("b", options=("boats", "bread", "chess"))]
    found = score_options(Stub(by_words), rows, rules=("sum", "mean", "pmi"))
    assert found.content_free is None and found.tokens[0, 2] == 0
    with pytest.raises(AssertionError, match="content-free"):
        found.weighed("calibrated")
    for rule in RULES[:3]:
        assert probabilities(found.weighed(rule), 2.0)[0, 2] == 0


def test_the_temperature_divides_the_scores():
    weighed = np.array([[2.0, 0.0]])
    for temperature in (0.5, 1.0, 4.0):
        odds = np.exp(2 / temperature)
        assert probabilities(weighed, temperature)[0] == pytest.approx([odds / (1 + odds), 1 / (1 + odds)])


@pytest.mark.parametrize(
    ("said", "shares"),
    [
        ("Boats.", "first"),
        ("the bread pudding", "second"),
        ("I think it is about boats!", "first"),
        ("boats or bread pudding", "even"),
        ("rowboats", "even"),
        ("I do not know", "even"),
        ("", "even"),
    ],
)
def test_a_server_that_tells_no_likelihoods_is_read_by_its_text(said: str, shares: str):
    found = score_options(Stub(says=lambda *_: said), asked("a sail"), rules=RULES)
    sure, unsure = 1 / (1 + np.exp(-4)), 1 / (1 + np.exp(4))
    wanted = {"first": [sure, unsure], "second": [unsure, sure], "even": [0.5, 0.5]}[shares]
    for rule in RULES:
        assert probabilities(found.weighed(rule), 1.0)[0] == pytest.approx(wanted)


@pytest.mark.parametrize(("said", "index"), [("-1", 0), ("1", 2), (" 0\n", 1)])
def test_signs_tell_labels_apart(said: str, index: int):
    row = Asked(asked("a sail")[0].form, "a sail", ("-1", "0", "1"))
    assert score_options(Stub(says=lambda *_: said), [row], rules=("sum",)).sums[0].argmax() == index


@pytest.mark.parametrize(
    ("said", "index"),
    [
        ("The answer is: not relevant.", 1),
        ("It is Relevant, I think.", 0),
        ("It seems relevant to the law, so it is *relevant to law*.", None),
        ("not relevant, though some would say relevant", None),
    ],
)
def test_a_label_within_a_longer_one_is_not_named_by_it(said: str, index: int | None):
    row = Asked(asked("a sail")[0].form, "a sail", ("relevant", "not relevant", "relevant to law"))
    sums = score_options(Stub(says=lambda *_: said), [row], rules=("sum",)).sums[0]
    assert (int(sums.argmax()) if sums.any() else None) == index


LETTERED = next(one for one in bundled_templates("multiple-choice") if one.answer_of("x", options=("x", "y")) == "A")


@pytest.mark.parametrize(
    ("said", "index"),
    [
        ("A", 0),
        ("a.", 0),
        ("(C)", 2),
        ("The answer is A.", 0),
        ("The answer is B, a bread.", 1),
        ("It is a text about boats", None),
        ("A or B", None),
        ("the", None),
        ("", None),
    ],
)
def test_a_letter_is_read_also_where_it_is_an_article(said: str, index: int | None):
    row = Asked(Form(LETTERED, True), "a sail", ("boats", "bread", "chess"))
    shares = probabilities(score_options(Stub(says=lambda *_: said), [row], rules=("sum", "mean", "pmi")).weighed("sum"), 1.0)[0]
    assert (int(shares.argmax()) if shares.max() > 0.9 else None) == index


def test_a_server_that_tells_no_likelihoods_is_offered_no_rules(make_bench: MakeBench):
    bench = stubbed(make_bench("text-classification"), Stub(says=lambda prompt, _: "boats" if "sail" in prompt else "bread"))
    for name in ("zero_shot", "one_shot", "nearest_shots"):
        candidates = TEXT_STRATEGIES[name].candidates(bench)
        assert {one["rule"] for one in candidates} == {"sum"}
    fitted = TEXT_STRATEGIES["zero_shot"].fit(bench, TEXT_STRATEGIES["zero_shot"].candidates(bench)[0])
    expected = [0 if "sail" in row.text else 1 for row in bench.validation]
    assert np.asarray(fitted.validation).argmax(axis=1).tolist() == expected


def stubbed(bench: TextBench, model: Stub) -> TextBench:
    """The bench, with a stub where its model's weights would be."""
    bench.base.__dict__["backend"] = model
    return bench


def test_rules_are_tried_where_they_mean_something(make_bench: MakeBench):
    def rules(name: str, kind: str) -> set[object]:
        return {one.get("rule") for one in TEXT_STRATEGIES[name].candidates(make_bench(kind))}

    assert rules("zero_shot", "text-classification") == rules("few_shot", "text-classification") == set(RULES)
    assert rules("nearest_shots", "text-classification") == rules("zero_shot", "multiple-choice") == set(RULES) - {"calibrated"}
    assert rules("zero_shot", "text-generation") == {None}


def test_the_validation_rows_are_asked_once_for_all_rules(make_bench: MakeBench):
    model = Stub(by_words)
    bench, strategy = stubbed(make_bench("text-classification"), model), TEXT_STRATEGIES["zero_shot"]
    candidates = strategy.candidates(bench)
    strategy.fit(bench, candidates[0])
    count = len(model.asked)
    for settings in candidates[1 : len(RULES)]:
        strategy.fit(bench, settings)
    assert len(model.asked) == count > 0 and {one["rule"] for one in candidates[: len(RULES)]} == set(RULES)


def prompts_of(name: str, bench: TextBench, settings: dict[str, object]) -> list[str]:
    """What the model reads for the validation rows."""
    fitted = TEXT_STRATEGIES[name].fit(bench, settings)
    return [one.form.prompt(one.text, one.options) for one in fitted.predictor.asker.asked(bench.validation)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["text-generation", "multiple-choice", "text-classification"])
@pytest.mark.parametrize("k", [1, 2, 4])
def test_as_many_examples_as_asked_for_stand_before_the_question_and_none_is_a_validation_row(
    k: int, kind: str, make_bench: MakeBench
):
    bench = make_bench(kind)
    settings = {"k": k, "template": bench.templates[0].id, "order": 1}
    shots = shots_for(bench, settings)
    assert len(shots) == len({shot.text for shot in shots}) == k
    assert {shot.text for shot in shots} <= {row.text for row in bench.train}
    right = {row.text: bench.right(row) for row in bench.train}
    for prompt, row in zip(prompts_of("few_shot", bench, settings), bench.validation, strict=True):
        assert [shot.text in prompt for shot in shots] == [True] * k
        assert sum(one.text in prompt for one in bench.train) == k
        assert [one.text for one in bench.validation if one.text in prompt] == [row.text]
        assert prompt.index(row.text) > max(prompt.index(shot.text) for shot in shots)
    assert all(shot.answer == right[shot.text] for shot in shots)


@pytest.mark.parametrize("name", ["few_shot", "one_shot"])
def test_what_stands_before_all_questions_is_the_same(name: str, make_bench: MakeBench):
    bench = make_bench()
    prompts = prompts_of(name, bench, dict(TEXT_STRATEGIES[name].candidates(bench)[0]))
    before = {prompt.removesuffix(f"{row.text}\n") for prompt, row in zip(prompts, bench.validation, strict=True)}
    assert len(before) == 1 and len(before.pop()) > 20


@pytest.mark.parametrize("order", range(5))
@pytest.mark.parametrize("k", [2, 3, 6, 8])
def test_examples_of_labels_are_balanced(k: int, order: int, make_bench: MakeBench):
    bench = make_bench("text-classification")
    counts = Counter(shot.answer for shot in shots_for(bench, {"k": k, "order": order}))
    assert max(counts.values()) - min(counts.values()) <= 1 and len(counts) == min(k, 3)


def test_a_rare_label_gives_what_it_has(make_bench: MakeBench):
    bench = make_bench("text-classification")
    rare = [row for row in bench.train if row.label != "chess"] + [row for row in bench.train if row.label == "chess"][:1]
    counts = Counter(shot.answer for shot in shots_for(bench.with_train(rare), {"k": 9, "order": 0}))
    assert counts == {"boats": 4, "bread": 4, "chess": 1}


def test_another_order_takes_other_examples_and_the_same_order_the_same(make_bench: MakeBench):
    bench = make_bench()
    drawn = [shots_for(bench, {"k": 4, "order": order}) for order in (0, 1, 2, 0)]
    assert drawn[0] == drawn[3] and len(set(drawn)) == 3
    assert shots_for(replace(bench, seed=1), {"k": 4, "order": 0}) != drawn[0]


def test_examples_that_leave_no_room_for_the_question_are_dropped_the_first_ones_first():
    shots = tuple(Shot(text=f"shown {at}", answer="boats") for at in range(6))
    form, model = Form(PLAIN, True, shots), Stub(by_words)
    whole = model.count_tokens([form.prompt("a sail")])[0]
    each = model.count_tokens([PLAIN.shot("shown 0", "boats")])[0]
    assert fitting(form, model, "a sail", (), room=whole) is form
    assert fitting(form, model, "a sail", (), room=whole - 1).shots == shots[1:]
    assert fitting(form, model, "a sail", (), room=whole - 3 * each).shots == shots[3:]
    assert fitting(form, model, "a sail " * 500, (), room=20).shots == ()


@pytest.mark.parametrize("writes", [False, True])
def test_a_small_context_gets_fewer_examples_and_still_the_whole_question(writes: bool):
    shots = tuple(Shot(text=f"shown {at} {'word ' * 10}", answer="boats") for at in range(6))
    model = Stub(by_words, lambda *_: "boats", length=60)
    if writes:
        write_texts(model, asked("a sail", shots=shots), Sampling(max_new_tokens=10), finish=str.strip)
    else:
        score_options(model, asked("a sail", shots=shots), rules=("sum", "mean", "pmi"))
    prompts = [prompt for prompt in model.asked if prompt != "Answer:"]
    assert prompts and all("a sail" in prompt and 1 <= prompt.count("shown") < 6 for prompt in prompts)
    assert max(model.count_tokens(prompts)) <= 60 - (10 if writes else 2)


def test_only_numbers_of_examples_that_the_context_and_the_rows_hold_are_tried(tmp_path: Path, make_bench: MakeBench):
    def counts(bench: TextBench) -> list[object]:
        return list(dict.fromkeys(one["k"] for one in TEXT_STRATEGIES["few_shot"].candidates(bench)))

    short = TextBase(str(save_word_model(tmp_path / "short", "llama", length=64)), precision="fp32")
    wide = make_bench(rows=48)
    assert counts(wide) == [2, 4, 8] and counts(make_bench(rows=48, base=short)) == [2, 4]
    assert counts(make_bench(rows=3)) == [2] and counts(make_bench(rows=1)) == []
    assert TEXT_STRATEGIES["few_shot"].suits(wide) is None
    assert "2 solved examples" in (TEXT_STRATEGIES["few_shot"].suits(make_bench(rows=1)) or "")
    assert counts(replace(wide, effort=Effort(1.0, 1, 8))) == [2, 8]
    fitted = TEXT_STRATEGIES["few_shot"].fit(wide, {"k": 8, "template": wide.templates[0].id, "order": 0})
    filled = re.fullmatch(r"Examples fill (\d+)% of the context\.", fitted.note)
    assert filled and 30 <= int(filled[1]) <= 60


def test_each_order_has_a_wording_of_its_own(make_bench: MakeBench):
    for name in ("one_shot", "few_shot"):
        candidates = [one for one in TEXT_STRATEGIES[name].candidates(make_bench()) if one["k"] in (1, 2)]
        assert [one["order"] for one in candidates] == [0, 1, 2] and len({one["template"] for one in candidates}) == 3


def test_the_nearest_examples_are_those_most_alike_and_the_most_alike_stands_last(make_bench: MakeBench):
    bench = make_bench("text-classification")
    assert bench.encoder is not None
    row = bench.validation[0]
    bench = bench.with_train([replace(row, text=f"{row.text} today"), *bench.train])
    fitted = TEXT_STRATEGIES["nearest_shots"].fit(bench, {"k": 4, "template": bench.templates[0].id, "rule": "sum"})
    chosen = fitted.predictor.asker.shots.of(bench.validation)  # type: ignore[attr-defined]
    rows = bench.encoder.embed([one.text for one in bench.train])
    questions = bench.encoder.embed([one.text for one in bench.validation])
    for shots, likeness in zip(chosen, questions @ rows.T, strict=True):
        own = [float(likeness[[one.text for one in bench.train].index(shot.text)]) for shot in shots]
        assert len(shots) == 4 and own == sorted(own)
        assert own == pytest.approx(sorted(likeness)[-4:])


def test_likeness_is_measured_for_the_question_at_hand():
    pool = tuple(Shot(text=text, answer="x") for text in ("a", "b", "c"))
    axes = {"a": [1.0, 0, 0], "b": [0, 1.0, 0], "c": [0, 0, 1.0], "q": [0.1, 0.5, 0.9]}
    closest = Closest(pool, "none", 2, lambda texts: np.array([axes[text] for text in texts]))
    (shots,) = closest.of([Example("q", "", "", 1)])
    assert [shot.text for shot in shots] == ["b", "c"]
    assert closest.of([]) == [] and Fixed(pool).of([Example("q", "", "", 1)] * 2) == [pool, pool]


def test_greedy_comes_first_and_writes_what_the_best_prompt_wrote(make_bench: MakeBench):
    for model in ("llama", "t5"):
        bench, strategy = make_bench(model=model), TEXT_STRATEGIES["inference"]
        first, *others = strategy.candidates(bench)
        assert first == {"temperature": 0.0} and others
        zero_shot = TEXT_STRATEGIES["zero_shot"]
        wording = zero_shot.candidates(bench)[1]
        expected = zero_shot.fit(bench, wording).validation
        fitted = strategy.fit(bench, first)
        assert fitted.validation == expected and fitted.note == "Over the prompt of 0 examples."
        assert any(strategy.fit(bench, one).validation != expected for one in others)
        bench.work.joinpath("prompt-zero_shot.json").unlink()


def test_the_best_prompt_so_far_is_the_one_that_scored_highest(make_bench: MakeBench):
    bench = make_bench()
    assert bench.best_prompt(("zero_shot", "few_shot")) is None
    templates = [template.id for template in bench.templates]
    for name, k, score in (("zero_shot", 0, 0.5), ("few_shot", 2, 0.7), ("few_shot", 4, 0.6), ("zero_shot", 0, 0.4)):
        bench.remember_prompt(name, {"template": templates[k // 2], "k": k, "order": 1}, score)
    assert bench.best_prompt(("zero_shot", "few_shot")) == {"template": templates[1], "k": 2, "order": 1}
    assert bench.best_prompt(("zero_shot",)) == {"template": templates[0], "k": 0, "order": 1}
    fitted = TEXT_STRATEGIES["inference"].fit(bench, {"temperature": 0.0})
    assert fitted.note == "Over the prompt of 2 examples."
    assert fitted.validation == TEXT_STRATEGIES["few_shot"].fit(bench, {"k": 2, "template": templates[1], "order": 1}).validation


def test_what_is_drawn_by_chance_is_drawn_three_times_and_the_spread_told(make_bench: MakeBench):
    """A model that is right on all rows, half of them or none, by its seed."""
    base = make_bench()
    right = {row.text: (row.label, at) for at, row in enumerate(base.validation)}

    def says(prompt: str, sampling: Sampling) -> str:
        label, at = next(found for text, found in right.items() if text in prompt)
        return label if at * 2 < len(right) * (2 - sampling.seed) else "wrong"

    bench = stubbed(base, Stub(says=says))
    fitted = TEXT_STRATEGIES["inference"].fit(bench, {"temperature": 0.7, "top_p": 0.9})
    assert fitted.score == pytest.approx(0.5)
    assert fitted.note == "Over the prompt of 0 examples. 3 seeds: 0.0% to 100.0%."
    assert fitted.validation == tuple(row.label for row in bench.validation)
    sampling = fitted.predictor.asker.reading.sampling  # type: ignore[attr-defined]
    assert (sampling.temperature, sampling.top_p, sampling.seed) == (0.7, 0.9, 0)
    once = TEXT_STRATEGIES["inference"].fit(bench, {"beams": 4})
    assert once.score == 1 and "seeds" not in once.note


def test_passages_that_the_context_does_not_hold_are_told(make_bench: MakeBench):
    narrow = Stub(says=lambda *_: "boats", length=48)
    strategy, settings = TEXT_STRATEGIES["retrieval"], {"passages": 3, "mode": "vector", "template": "text-to-text/plain.v1"}
    note = strategy.fit(stubbed(make_bench(), narrow), settings).note
    assert "For 12 of 12 questions the context holds fewer than 3; 2.0 stood before a question on average." in note
    assert all("[2]" in prompt and "[3]" not in prompt for prompt in narrow.asked)
    wide = stubbed(make_bench(), Stub(says=lambda *_: "boats"))
    assert "context" not in strategy.fit(wide, settings).note


def test_passages_leave_room_for_a_long_answer_and_those_that_stood_there_are_the_ones_told(make_bench: MakeBench):
    model = Stub(says=lambda *_: "boats", length=120)
    bench = stubbed(make_bench(train=[Example("a text", "word " * 50, "x", at) for at in range(5)]), model)
    settings = {"passages": 3, "mode": "vector", "template": "text-to-text/plain.v1"}
    fitted = TEXT_STRATEGIES["retrieval"].fit(bench, settings)
    assert bench.sampling.max_new_tokens > 60
    assert all(len(prompt.split()) + bench.sampling.max_new_tokens <= 120 for prompt in model.asked)
    told = [len(found) for found in fitted.predictor.passages(bench.validation)]  # type: ignore[attr-defined]
    assert told == [prompt.count("[") for prompt in model.asked] and 0 < max(told) < 3


def test_a_server_is_asked_for_nothing_that_its_protocol_cannot_say(make_bench: MakeBench):
    server = make_bench(base=TextBase("openai:some", base_url="http://127.0.0.1:9/v1"), effort=Effort(1.0, 3, 8))
    candidates = TEXT_STRATEGIES["inference"].candidates(server)
    assert candidates[0] == {"temperature": 0.0} and len(candidates) > 1
    assert not [one for one in candidates if {"beams", "repetition_penalty", "top_k"} & set(one)]
    assert len(TEXT_STRATEGIES["inference"].candidates(make_bench(effort=Effort(1.0, 3, 8)))) > len(candidates)


def test_the_first_sentences_are_copied(make_bench: MakeBench):
    text = "One comes first. Then two! Three? And four."
    bench = make_bench(validation=[Example(text, "One comes first.", "x", 1), Example("only this", "this", "x", 2)])
    lead = TEXT_STRATEGIES["first_sentences"]
    assert [one["sentences"] for one in lead.candidates(bench)] == [3, 2, 1]
    found = {count: lead.fit(bench, {"sentences": count}) for count in (1, 2, 3)}
    assert found[1].validation == ("One comes first.", "only this") and found[1].score == 0.5
    assert found[2].validation == ("One comes first. Then two!", "only this")
    assert found[3].validation == tuple(first_sentences(row.text, 3) for row in bench.validation)


def test_answers_are_as_long_as_those_of_the_training_rows_and_end_where_they_end(make_bench: MakeBench):
    one_line, more = make_bench(), make_bench(train=[Example("a text", "one line\nand two", "x", 1)])
    assert one_line.sampling.stop == ("\n",) and more.sampling.stop == ("\n\n",)
    assert make_bench(model="t5").sampling.stop == ()
    long = make_bench(train=[Example("a text", "word " * 40, "x", at) for at in range(5)])
    assert one_line.sampling.max_new_tokens < 20 < 60 <= long.sampling.max_new_tokens <= 8 + 1.5 * 42
    assert make_bench(train=[Example("a", "word " * 900, "x", at) for at in range(3)]).sampling.max_new_tokens == 256


@pytest.mark.parametrize("model", ["llama", "t5"])
def test_right_answers_that_fill_the_context_are_left_out_of_likelihoods(model: str, make_bench: MakeBench):
    """The context has 192 tokens; around that many no answer ends in an error."""
    bench, strategy = make_bench(model=model), TEXT_STRATEGIES["zero_shot"]
    predictor = strategy.fit(bench, strategy.candidates(bench)[0]).predictor
    rows = [Example("a note about boats", " ".join(["boats"] * count), "x", count) for count in (1, *range(185, 200), 400)]
    found = predictor.likelihoods(rows)
    assert found is not None and 1 < len(found) < 12
    assert found[0].tokens == predictor.likelihoods(rows[:1])[0].tokens
