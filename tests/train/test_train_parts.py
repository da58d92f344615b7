"""Mixtures, schedules, span lengths, penalties and the starting point: the numbers of the small parts."""

import math
import random
from collections import Counter

import pytest
import torch

from hone.core.errors import BadModel, Failed, Usage
from hone.model import Renderer
from hone.train import (
    FLAN_CAP,
    SingleTask,
    StartingPoint,
    TrainPlan,
    fit,
    make_regulariser,
    mixed,
    proportional,
    replay,
    temperature,
)
from hone.train.objective.span import corrupted_lengths, piece_length
from hone.train.optimiser import rate_share
from tiny_language import tiny_tokenizer

# mixtures


def shares(mixture, sizes, draws=20_000):
    rng = random.Random(0)
    drawn = Counter(mixture.draw(rng) for _ in range(draws))
    ends, start, found = [], 0, []
    for size in sizes:
        ends.append((start, start + size))
        start += size
    for low, high in ends:
        found.append(sum(count for index, count in drawn.items() if low <= index < high) / draws)
    assert sum(found) == pytest.approx(1)
    return found


def test_a_large_task_counts_as_much_as_the_cap():
    assert shares(proportional({"small": 1000, "large": 90_000}), (1000, 90_000)) == pytest.approx([1 / 4, 3 / 4], abs=0.01)
    assert FLAN_CAP == 3000


def test_temperature_brings_tasks_nearer_to_one_another():
    sizes = {"small": 100, "large": 10_000}
    assert shares(temperature(sizes, 1.0), sizes.values()) == pytest.approx([1 / 101, 100 / 101], abs=0.003)
    assert shares(temperature(sizes, 2.0), sizes.values()) == pytest.approx([1 / 11, 10 / 11], abs=0.01)


@pytest.mark.parametrize(
    ("mixing", "weights", "wanted"),
    [
        ("proportional", (1, 1), [10 / 40, 30 / 40]),  # the cap comes first: 90 rows count as 30
        ("proportional", (3, 1), [30 / 60, 30 / 60]),  # then the weights
        ("temperature", (1, 1), [10**0.5 / (10**0.5 + 30**0.5), 30**0.5 / (10**0.5 + 30**0.5)]),
        ("equal", (1, 1), [0.5, 0.5]),
        ("equal", (1, 4), [0.2, 0.8]),
    ],
)
def test_tasks_are_drawn_by_their_capped_sizes_and_weights(mixing, weights, wanted):
    weighed = dict(zip("ab", weights, strict=True))
    mixture = mixed({"a": 10, "b": 90}, mixing=mixing, cap=30, degrees=2.0, weights=weighed)
    assert list(mixture.shares.values()) == pytest.approx(wanted)
    assert shares(mixture, (10, 90)) == pytest.approx(wanted, abs=0.012)
    assert mixture.epoch == 40
    assert mixture.effective_epochs(40) == pytest.approx({"a": 4 * wanted[0], "b": 40 / 90 * wanted[1]})


def test_each_pass_over_a_task_shows_every_row_once_in_other_words():
    """Rows stand there as often as there are copies, and a pass takes one copy of each."""
    mixture = mixed({"a": 3, "b": 4}, mixing="equal", weights={"a": 1, "b": 1}, copies={"a": 2, "b": 3})
    rng = random.Random(0)
    drawn = [mixture.draw(rng) for _ in range(200)]
    a, b = [index for index in drawn if index < 6], [index - 6 for index in drawn if index >= 6]
    for found, size, copies in ((a, 3, 2), (b, 4, 3)):
        passes = [found[at : at + size] for at in range(0, len(found) - size, size)]
        for number, one in enumerate(passes):
            start = number % copies * size
            assert sorted(one) == list(range(start, start + size))


def test_replay_draws_old_rows_at_its_rate():
    mixture = replay(50, 400, rate=0.2)
    assert shares(mixture, (50, 400)) == pytest.approx([0.8, 0.2], abs=0.01)
    assert mixture.effective_epochs(1000) == pytest.approx({"task": 16.0, "replay": 0.5})


@pytest.mark.parametrize(
    "make",
    [
        lambda: SingleTask(7),
        lambda: replay(4, 3, rate=0.5),
        lambda: proportional({"a": 3, "b": 4}, cap=2),
        lambda: mixed({"a": 3, "b": 4}, mixing="equal", weights={"a": 1, "b": 1}, copies={"a": 2, "b": 3}),
    ],
)
def test_a_mixture_goes_on_where_its_state_was_taken(make):
    first, second, rng = make(), make(), random.Random(3)
    for _ in range(11):
        first.draw(rng)
    second.restore(first.state())
    copy = random.Random()
    copy.setstate(rng.getstate())
    assert [first.draw(rng) for _ in range(30)] == [second.draw(copy) for _ in range(30)]


# schedules


def plan(**more):
    return TrainPlan(**({"learning_rate": 1.0, "head_learning_rate": 1.0, "steps": 100, "evaluations": 0} | more))


@pytest.mark.parametrize(
    ("schedule", "wanted"),
    [
        ("linear", {0: 0.1, 9: 1.0, 10: 1.0, 55: 0.5, 99: 1 / 90}),
        ("cosine", {0: 0.1, 9: 1.0, 10: 1.0, 55: 0.5, 99: 0.5 * (1 - math.cos(math.pi / 90))}),
        ("constant", {0: 0.1, 9: 1.0, 55: 1.0, 99: 1.0}),
        ("wsd", {0: 0.1, 9: 1.0, 79: 1.0, 90: 0.5, 99: 0.05}),
    ],
)
def test_rates_follow_their_schedule(schedule, wanted):
    found = {step: rate_share(step, plan(schedule=schedule)) for step in wanted}
    assert found == pytest.approx(wanted)


# span corruption


def test_a_piece_fills_the_source_exactly():
    """T5's own numbers: 512 source tokens come from 568 of text and give 114 target tokens."""
    assert piece_length(512) == 568
    assert corrupted_lengths(568) == (28, 512, 114)


@pytest.mark.parametrize("tokens", range(2, 400, 7))
def test_all_tokens_stand_in_source_or_target(tokens):
    spans, source, target = corrupted_lengths(tokens)
    assert source + target == tokens + 2 * spans + 2
    assert spans >= 1


# the starting point and what holds to it


class Items:
    name, head, is_divisible = "toy", "none", True

    def collate(self, items):
        return items

    def words(self, items):
        return None

    def loss(self, net, batch):
        return (net(torch.tensor([[item.x] for item in batch])) - 5).square().sum(), len(batch)


class One:
    length = 1

    def __init__(self, x):
        self.x = x


def test_l2sp_ends_where_pull_and_loss_balance():
    """min (w - 5)^2 + s/2 (w - 1)^2 has its minimum at (10 + s) / (2 + s)."""
    for strength in (0.0001, 2.0, 50.0):
        net = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.ones_(net.weight)
        fit(
            net,
            [One(1.0)] * 4,
            plan=plan(steps=800, learning_rate=0.05, batch_rows=4, weight_decay=0.0),
            objective=Items(),
            mixture=SingleTask(4),
            regulariser=make_regulariser("l2sp", strength),
        )
        assert net.weight.item() == pytest.approx((10 + strength) / (2 + strength), abs=0.02)


def test_the_starting_point_comes_back_for_a_moment():
    net = torch.nn.Linear(2, 2)
    start, before = StartingPoint(net), net.weight.detach().clone()
    with torch.no_grad():
        net.weight += 1
    with start.put_back(net):
        assert torch.equal(net.weight, before)
    assert torch.equal(net.weight, before + 1)
    assert start.bytes == 6 * 4


def test_the_starting_point_comes_back_under_autocast_too():
    """Autocast keeps converted parameters: without care the base would answer with those of the tuned network."""
    net, inputs = torch.nn.Linear(4, 4), torch.ones(3, 4)
    start = StartingPoint(net)
    with torch.no_grad():
        net.weight += 1
    with torch.autocast("cpu", dtype=torch.bfloat16):
        tuned = net(inputs)
        with start.put_back(net):
            base = net(inputs)
        again = net(inputs)
    assert torch.allclose((tuned - base).float(), torch.full((3, 4), 4.0), atol=0.1)
    assert torch.equal(again, tuned)


def test_an_unknown_regulariser_is_answered_with_the_near_name():
    with pytest.raises(Usage, match="Did you mean 'l2sp'"):
        make_regulariser("l2s", 1.0)
    assert make_regulariser("none", 1.0) is None


# the guard


def test_a_loss_that_leaves_its_course_stops_the_run():
    class Jumps(Items):
        calls = 0

        def loss(self, net, batch):
            Jumps.calls += 1
            loss, count = super().loss(net, batch)
            return loss * (1e6 if Jumps.calls > 20 else 1), count

    net = torch.nn.Linear(1, 1)
    with pytest.raises(Failed, match=r"jumped to .* up to step 23, in the batch of examples"):
        fit(net, [One(1.0)] * 4, plan=plan(batch_rows=4), objective=Jumps(), mixture=SingleTask(4))


# rendering


def rendered(**more):
    return Renderer(tiny_tokenizer(), **({"length": 20, "chat": False} | more))


def words(found):
    tokens = tiny_tokenizer().convert_ids_to_tokens(found.ids)
    return tokens, [token for token, is_trained in zip(tokens, found.is_trained, strict=True) if is_trained]


def test_a_long_prompt_loses_its_oldest_part_and_the_answer_stays():
    tokens, trained = words(rendered(length=8).completion("parcel never came and nobody answers", "refund please"))
    assert tokens == ["<s>", "came", "and", "nobody", "answers", "refund", "please", "</s>"]
    assert trained == ["refund", "please", "</s>"]


def test_a_chat_template_marks_the_answers_and_their_end():
    tokenizer = tiny_tokenizer()
    before = tokenizer.chat_template
    turns = "{% for m in messages %}{{ m.role }} : {{ m.content }} </s> {% endfor %}"
    tokenizer.chat_template = f"{turns}{{% if add_generation_prompt %}}assistant : {{% endif %}}"
    try:
        found = rendered(chat=None).dialogue(
            [("user", "late"), ("assistant", "refund"), ("user", "lost"), ("assistant", "money")]
        )
    finally:
        tokenizer.chat_template = before
    tokens, trained = words(found)
    assert trained == ["refund", "</s>", "money", "</s>"]
    assert tokens == [
        "[UNK]",
        ":",
        "late",
        "</s>",
        "[UNK]",
        ":",
        "refund",
        "</s>",
        "[UNK]",
        ":",
        "lost",
        "</s>",
        "[UNK]",
        ":",
        "money",
        "</s>",
    ]


def chatted(length, turns):
    """What is left of a dialogue in a tokenizer's own template, and what of it is trained."""
    tokenizer = tiny_tokenizer()
    before = tokenizer.chat_template
    turn = "{% if m.role == 'assistant' %}box {{ m.content }} </s> {% else %}{{ m.content }} {% endif %}"
    said = f"{{% for m in messages %}}{turn}{{% endfor %}}"
    tokenizer.chat_template = f"<s> {said}{{% if add_generation_prompt %}}box {{% endif %}}"
    try:
        renderer = rendered(chat=True, length=length)
        found = renderer.dialogue(turns) if isinstance(turns, list) else renderer.completion(turns, "refund please")
        asked = None if isinstance(turns, list) else renderer.prompts([turns], leaving=3)[0]
    finally:
        tokenizer.chat_template = before
    if asked is not None:
        assert found.ids[: len(asked)] == asked, "it is trained behind another prompt than it answers"
    assert len(found.ids) <= length
    return words(found)


def test_a_dialogue_that_the_chat_template_refuses_is_told_in_the_templates_own_words(monkeypatch):
    """Gemma's knows no system."""
    tokenizer = tiny_tokenizer()
    refuses = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}user"
    monkeypatch.setattr(tokenizer, "chat_template", refuses)
    renderer = Renderer(tokenizer, length=64)
    with pytest.raises(BadModel, match=r"refuses a dialogue of system, user: System role not supported\. Leave such turns"):
        renderer.dialogue([("system", "be brief"), ("user", "hello"), ("assistant", "late")])


def test_with_a_chat_template_too_a_long_prompt_loses_its_oldest_part_and_the_answer_stays():
    tokens, trained = chatted(8, "parcel never came and nobody answers")
    assert tokens == ["<s>", "and", "nobody", "answers", "box", "refund", "please", "</s>"]
    assert trained == ["refund", "please", "</s>"]


@pytest.mark.parametrize(
    ("length", "left", "learnt"),
    [
        (20, "<s> parcel never came box refund </s> nobody answers box please </s>", "refund </s> please </s>"),
        (10, "<s> came box refund </s> nobody answers box please </s>", "refund </s> please </s>"),
        (8, "<s> nobody answers box please </s>", "please </s>"),
        (4, "<s> box please </s>", "please </s>"),
    ],
)
def test_a_long_dialogue_loses_its_oldest_turns_and_the_last_answer_stays(length, left, learnt):
    turns = [("user", "parcel never came"), ("assistant", "refund"), ("user", "nobody answers"), ("assistant", "please")]
    tokens, trained = chatted(length, turns)
    assert (tokens, trained) == (left.split(), learnt.split())


def test_without_a_chat_template_a_long_dialogue_keeps_its_last_answer():
    turns = [("user", "parcel never came and nobody answers"), ("assistant", "refund"), ("user", "late")]
    tokens, trained = words(rendered(length=8).dialogue(turns))
    assert tokens[0] == "<s>" and len(tokens) == 8
    assert trained == ["refund", "</s>"]
