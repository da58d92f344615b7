"""Retained tasks: what is asked, how it is answered, and what is made of the answers before and after."""

import json

import numpy as np
import pytest

from hone.core.errors import Usage
from hone.evaluate import (
    RetainedAnswers,
    answer_retained,
    bundled_tasks,
    find_tasks,
    measure_forgetting,
    read_retained,
    tell_forgetting,
    thin,
)
from hone.model import Generated, Likelihood

CHANCE = {"grammar": 1 / 2, "everyday": 1 / 3, "feelings": 1 / 2}


class Wordy:
    """A backend at the door: each letter of a continuation costs a nat, the word 'good' nothing; a token is a word."""

    context_length = 40

    def count_tokens(self, texts):
        return [len(text.split()) for text in texts]

    def score(self, prompts, continuations, *, bar=None):
        assert max(self.count_tokens(continuations)) <= self.context_length
        return [Likelihood(-float(len(text.replace("good", "").strip())), False, len(text.split())) for text in continuations]


def written(folder, rows, name="rows.jsonl"):
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def answers(right, losses=None):
    return RetainedAnswers(
        np.array(right, dtype=bool), np.array(losses or [1.0] * len(right)), np.ones(len(losses or right), dtype=int)
    )


@pytest.mark.parametrize("task", bundled_tasks(), ids=lambda task: task.name)
def test_every_bundled_item_has_its_right_answer_among_its_choices(task):
    assert len(task) >= 80
    assert all(0 <= right < len(few) for right, few in zip(task.right, task.choices, strict=True))
    if task.name == "texts":
        assert task.chance is None
    else:
        assert task.chance == pytest.approx(CHANCE.get(task.name, 1 / 4))
        assert all(
            choice.startswith(" ") or not prompt for prompt, few in zip(task.prompts, task.choices, strict=True) for choice in few
        )


def test_questions_are_asked_as_questions_and_beginnings_are_gone_on_with():
    known = {task.name: task for task in bundled_tasks()}
    assert all("Question: " in prompt and prompt.endswith("\nAnswer:") for prompt in known["reading"].prompts)
    assert not any("Question: " in prompt for prompt in known["everyday"].prompts)


def test_rows_of_a_user_become_choices_or_texts(tmp_path):
    choice = written(tmp_path, [{"question": f"q{n}?", "choices": ["a", "b", "c"], "answer": n % 3} for n in range(6)], "c.jsonl")
    task = read_retained(choice)
    assert task.chance == pytest.approx(1 / 3)
    assert (task.prompts[1], task.choices[1], task.right[1]) == ("Question: q1?\nAnswer:", (" a", " b", " c"), 1)
    topics = [{"text": f"some text {n} about it", "label": ("late_parcel", "refund")[n % 2]} for n in range(12)]
    task = read_retained(written(tmp_path, topics, "t.jsonl"))
    assert task.choices[0] == (" late parcel", " refund")
    assert task.right[:2] == (0, 1)
    pairs = written(tmp_path, [{"prompt": f"p{n}", "completion": f"c{n}"} for n in range(4)], "p.jsonl")
    task = read_retained(pairs)
    assert (task.chance, task.prompts[2], task.choices[2]) == (None, "p2\n", ("c2",))


def test_answers_that_are_few_and_repeat_are_choices(tmp_path):
    few = read_retained(written(tmp_path, [{"prompt": f"p{n}", "completion": "bac"[n % 3]} for n in range(9)], "few.jsonl"))
    assert (few.chance, few.choices[0], few.right[:3]) == (pytest.approx(1 / 3), ("a", "b", "c"), (1, 0, 2))
    many = read_retained(written(tmp_path, [{"prompt": f"p{n}", "completion": "bac"[n % 3]} for n in range(8)], "many.jsonl"))
    assert many.chance is None


def test_what_no_text_model_writes_is_refused(tmp_path):
    rows = [{"tokens": ["a", "b"], "ner_tags": ["O", "B-X"]} for _ in range(4)]
    with pytest.raises(Usage, match="no words that a text model writes"):
        read_retained(written(tmp_path, rows))


@pytest.mark.parametrize(("names", "said"), [(("gramar",), "grammar"), (("grammar", "bundled"), "twice")])
def test_names_are_checked(names, said):
    with pytest.raises(Usage, match=said):
        find_tasks(names)


def test_thinning_draws_the_same_items_each_time_and_keeps_their_order():
    one, two = (thin(bundled_tasks(), most=10, seed=3) for _ in range(2))
    assert one == two
    assert all(len(task) == 10 for task in one)
    whole = {task.name: task.prompts for task in bundled_tasks()}["reading"]
    places = [whole.index(prompt) for prompt in next(task for task in one if task.name == "reading").prompts]
    assert places == sorted(places)


def test_the_likeliest_choice_is_the_answer_per_token_where_choices_differ_in_length(tmp_path):
    rows = [
        {"question": "x?", "choices": ["good", "bad"], "answer": 0},
        {"question": "y?", "choices": ["ab cd ef", "abcde"], "answer": 0},  # 8 nats over 3 tokens against 5 over 1
        {"question": "z?", "choices": ["abc", "ab"], "answer": 0},
    ]
    found = answer_retained([read_retained(written(tmp_path, rows))], Wordy(), title="")["rows"]
    assert found.is_right.tolist() == [True, True, False]
    assert found.losses.tolist() == pytest.approx([0, 8 / 3, 3])


def test_a_model_that_computes_no_numbers_is_never_right(tmp_path):
    class Broken(Wordy):
        def score(self, prompts, continuations, *, bar=None):
            return [Likelihood(float("nan"), False, 1) for _ in continuations]

    task = read_retained(written(tmp_path, [{"question": f"{n}?", "choices": ["good", "bad"], "answer": 0} for n in range(4)]))
    assert not answer_retained([task], Broken(), title="")["rows"].is_right.any()


class Writing(Wordy):
    """It also writes: what it is told to, one text after another."""

    def __init__(self, *texts):
        self.texts = texts

    def generate(self, prompts, sampling, *, bar=None):
        assert len(prompts) == len(self.texts)
        return [[Generated(text, (), 0.0, "end")] for text in self.texts]


def test_another_format_is_counted_apart_from_a_wrong_answer(tmp_path):
    """Of two topics, of which one begins like the other."""
    rows = [{"prompt": f"p{n}", "completion": ("card", "card lost")[n % 2]} for n in range(6)]
    (task,) = [read_retained(written(tmp_path, rows))]
    assert task.is_written
    before = answer_retained([task], Writing("card", " Card lost", "card.", "card", "card", "card lost"), title="", writes=True)
    texts = ("Summary: card", "cards", "card lost", "card lost today", "", "It says card lost")
    after = answer_retained([task], Writing(*texts), title="", writes=True)
    assert before["rows"].written.tolist() == [0, 1, 0, 0, 0, 1]
    assert after["rows"].written.tolist() == [-1, -1, 1, 1, -1, -1]
    found = measure_forgetting([task], before, after, seed=0)
    assert [(one.right, one.wrong, one.other) for one in (found.written[0].before, found.written[0].after)] == [
        (5, 1, 0),
        (1, 1, 4),
    ]
    assert "1 right, 1 wrong, 4 none of the answers after" in tell_forgetting(found)
    assert type(found).model_validate_json(found.to_json()) == found
    assert answer_retained([task], Wordy(), title="")["rows"].written is None


def test_a_text_longer_than_the_model_reads_is_cut(tmp_path):
    task = read_retained(written(tmp_path, [{"text": "word " * 500}, {"text": "word " * 3}]))
    found = answer_retained([task], Wordy(), title="")["rows"]
    assert found.tokens.tolist()[1] == 3
    assert 20 < found.tokens[0] <= 32


def test_what_was_lost_is_told_by_task_with_the_noise_and_the_worst():
    tasks = thin(find_tasks(("grammar", "reading", "texts")), most=20, seed=0)
    before = {"grammar": answers([1] * 20), "reading": answers([1] * 12 + [0] * 8), "texts": answers([], [2.0] * 19 + [3.0])}
    after = {"grammar": answers([1] * 10 + [0] * 10), "reading": answers([1] * 13 + [0] * 7), "texts": answers([], [2.5] * 20)}
    found = measure_forgetting(tasks, before, after, again=before, own=[0.1, 0.3], inputs=[1.0], seed=0)
    assert found.drops.worst_task == "grammar"
    assert found.drops.tasks[0].right_to_wrong == 10
    assert found.drops.tasks[1].drop.mid == pytest.approx(-0.05)
    assert found.drops.mean.mid == pytest.approx(0.225)
    assert found.rises.tasks[0].rise == pytest.approx(2.5 - 2.05)
    assert found.noise.flips == 0
    assert (found.divergence, found.divergence_on_inputs) == (pytest.approx(0.2), 1.0)
    said = tell_forgetting(found)
    assert "10 / 0" in said
    assert "most on grammar: 50.0%" in said
    assert "0 of 40 items" in said
    seen = sorted(task.detectable_drop for task in found.drops.tasks)
    assert f"A drop below {seen[0]:.1%} to {seen[1]:.1%}, by task, is missed at least one time in five." in said
    assert type(found).model_validate_json(found.to_json()) == found
