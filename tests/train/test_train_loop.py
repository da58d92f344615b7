"""The loop: what it learns, when it stops, what it keeps, and that a killed run ends with the same bits."""

import errno
import gc
import itertools
import math
import os
import random
import warnings
from dataclasses import dataclass

import pytest
import torch

from hone.catalogue import locate_model
from hone.core.device import has_fast_bf16
from hone.core.errors import Failed
from hone.model import load_backbone, load_classifier, load_language_model
from hone.train import (
    TRAINABLES,
    Classify,
    Contrast,
    SingleTask,
    StartingPoint,
    TrainPlan,
    fit,
    make_trainable,
    rows_a_step,
    trained_parameters,
)
from hone.train.muon import Muon32
from hone.train.optimiser import make_optimiser, rate_share
from tiny import LABELS
from tiny_language import save_language_model


@pytest.fixture(autouse=True, scope="module")
def quick_collection():
    """The loop collects garbage at each evaluation; what the libraries hold, some 0.3 s to look through, is set aside here."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def plan(**settings):
    return TrainPlan(
        **{"learning_rate": 1e-2, "head_learning_rate": 1e-2, "steps": 12, "batch_rows": 5, "evaluations": 0} | settings
    )


@dataclass
class Point:
    """An example of the toy objective."""

    x: float
    length: int = 1


class Regression:
    """A toy objective: one weight is to become 3. The loop must know no more of it than the contract."""

    name = "regression"
    is_divisible = True

    def __init__(self):
        self.seen = []

    def encode(self, examples):
        return examples

    def collate(self, items):
        return items

    def words(self, items):
        return None

    def loss(self, net, batch):
        self.seen.append([item.x for item in batch])
        x = torch.tensor([[item.x] for item in batch])
        return ((net(x) - 3 * x) ** 2).sum(), len(batch)


def toy(**settings):
    """Arguments of `fit` for the toy problem."""
    torch.manual_seed(0)
    points = [Point(float(index + 1), length=index % 4 + 1) for index in range(20)]
    return {
        "net": torch.nn.Linear(1, 1, bias=False),
        "encoded": points,
        "objective": Regression(),
        "mixture": SingleTask(20),
        "plan": plan(**settings),
    }


def bits(net):
    return {name: parameter.detach().clone() for name, parameter in trained_parameters(net).items()}


def same_bits(first, second):
    return first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())


# learning


@pytest.mark.parametrize("name", sorted(TRAINABLES))
def test_a_tiny_set_is_learnt_by_heart(name, located, reader, examples):
    torch.manual_seed(0)
    net = make_trainable(name).prepare(load_classifier(located("modernbert" if name != "bias" else "bert"), LABELS))
    objective = Classify(LABELS, reader)
    rate = {
        "full": 3e-3,
        "lora": 2e-2,
        "adapter": 2e-2,
        "bias": 5e-2,
        "head": 0.3,
        "top": 3e-3,
        "ia3": 0.1,
        "prompt": 0.1,
        "prefix": 0.1,
    }[name]
    encoded, start = objective.encode(examples), StartingPoint(net)
    head_rate = rate if name == "head" else 2e-2
    steps = 220 if name in ("bias", "prompt") else 150  # what moves least needs longer
    fit(
        net,
        encoded,
        plan=plan(learning_rate=rate, head_learning_rate=head_rate, steps=steps, batch_rows=12, weight_decay=0.0),
        objective=objective,
        mixture=SingleTask(len(encoded)),
    )
    loss, count = objective.loss(net.eval(), encoded)
    learnt = loss.item() / count
    assert learnt < 0.05
    with start.put_back(net):
        by_the_head_alone = objective.loss(net, encoded)[0].item() / count
    assert name == "head" or by_the_head_alone > 1.5 * learnt  # virtual tokens move least: 2 to 4 times, by the processor


# order


@pytest.mark.parametrize("size", [1, 2, 7, 40])
def test_each_pass_shows_each_example_once_in_a_new_order(size):
    mixture, rng = SingleTask(size), random.Random(0)
    passes = [[mixture.draw(rng) for _ in range(mixture.epoch)] for _ in range(4)]
    assert all(sorted(each) == list(range(size)) for each in passes)
    assert size < 7 or len({tuple(each) for each in passes}) == 4


def test_a_mixture_continues_where_its_state_was_taken():
    mixture, rng = SingleTask(10), random.Random(3)
    for _ in range(14):
        mixture.draw(rng)
    kept, generator = mixture.state(), rng.getstate()
    ahead = [mixture.draw(rng) for _ in range(25)]
    other, rng_again = SingleTask(10), random.Random()
    rng_again.setstate(generator)
    other.restore(kept)
    assert [other.draw(rng_again) for _ in range(25)] == ahead


def test_a_state_is_a_copy():
    mixture, rng = SingleTask(3), random.Random(0)
    mixture.draw(rng)
    kept = mixture.state()
    mixture.draw(rng)
    assert len(kept) == 2


def test_an_empty_mixture_is_a_broken_promise():
    with pytest.raises(AssertionError, match="needs an example"):
        SingleTask(0)


def test_the_loop_shows_each_example_once_a_pass():
    arguments = toy(steps=8, batch_rows=5)
    record = fit(**arguments)
    seen = [x for batch in arguments["objective"].seen for x in batch]
    assert record.examples_seen == 40
    assert sorted(seen[:20]) == sorted(seen[20:]) == [float(index + 1) for index in range(20)]


@pytest.mark.parametrize(("rows", "batch_rows"), [(5, 16), (20, 16), (20, 8), (20, 3), (20, 1)])
def test_a_step_shows_as_many_rows_as_are_counted_on(rows, batch_rows):
    """The last batch of a pass over few rows holds what is left: 20 rows are two steps of 16 rows at most, not one and a quarter."""
    mixture = SingleTask(rows)
    steps = round(6 * rows / rows_a_step(mixture, batch_rows))
    record = fit(**(toy(steps=steps, batch_rows=batch_rows) | {"mixture": mixture}))
    assert record.examples_seen == 6 * rows


def test_a_batch_holds_rows_of_like_length_and_batches_come_mixed():
    arguments = toy(steps=4, batch_rows=5)
    fit(**arguments)
    lengths = [[(int(x) - 1) % 4 + 1 for x in batch] for batch in arguments["objective"].seen]
    assert all(max(batch) == min(batch) for batch in lengths)  # 20 rows of 4 lengths, 5 of each
    assert [batch[0] for batch in lengths] not in ([1, 2, 3, 4], [4, 3, 2, 1])


# schedule and optimiser


def test_the_rate_rises_in_a_straight_line_and_falls_to_0():
    shares = [rate_share(step, plan(steps=20, warmup=0.2)) for step in range(21)]
    assert shares[:4] == [0.25, 0.5, 0.75, 1.0]
    assert shares[4] == 1.0 and shares[20] == 0.0
    falls = [before - after for before, after in itertools.pairwise(shares[4:])]
    assert falls == pytest.approx([1 / 16] * 16)


def test_after_its_peak_the_rate_equals_transformers_linear_schedule():
    from transformers import get_linear_schedule_with_warmup

    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = get_linear_schedule_with_warmup(optimiser, 5, 50)
    for step in range(50):
        if step >= 5:
            assert rate_share(step, plan(steps=50, warmup=0.1)) == pytest.approx(schedule.get_last_lr()[0])
        optimiser.step()
        schedule.step()


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0.1), (1, 0.0), (2, 1.0), (3, 0.5), (7, 0.0)])
def test_every_step_of_a_short_run_has_a_rate_above_0_and_at_most_the_peak(steps, warmup):
    shares = [rate_share(step, plan(steps=steps, warmup=warmup)) for step in range(steps)]
    assert all(0 < share <= 1 for share in shares) and max(shares) == 1


def test_the_head_has_its_own_rate_and_vectors_do_not_decay(located):
    net = load_classifier(located(), LABELS)
    optimiser = make_optimiser(net, plan(learning_rate=1e-4, head_learning_rate=1e-2, weight_decay=0.1))
    name_of = {id(parameter): name for name, parameter in net.named_parameters()}
    seen = set()
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            name = name_of[id(parameter)]
            assert group["peak"] == (1e-2 if name.startswith("classifier.") else 1e-4)
            assert group["weight_decay"] == (0.1 if parameter.ndim == 2 else 0.0)
            seen.add(name)
    assert seen == set(trained_parameters(net))


def test_a_step_equals_plain_adamw():
    arguments = toy(steps=6, batch_rows=20, weight_decay=0.1, clip=1e9)
    weight = torch.nn.Parameter(arguments["net"].weight.detach().clone())
    fit(**arguments)
    optimiser = torch.optim.AdamW([weight], lr=1.0, weight_decay=0.1)
    x = torch.arange(1, 21, dtype=torch.float32)[:, None]
    for step in range(6):
        optimiser.param_groups[0]["lr"] = 1e-2 * rate_share(step, arguments["plan"])
        optimiser.zero_grad()
        ((x @ weight.T - 3 * x) ** 2).mean().backward()
        optimiser.step()
    torch.testing.assert_close(arguments["net"].weight, weight, rtol=1e-5, atol=1e-6)


def test_muon_steps_the_matrices_between_the_layers_and_adamw_the_rest(located):
    net = load_classifier(located("bert"), LABELS)
    optimiser = make_optimiser(net, plan(learning_rate=1e-3, head_learning_rate=1e-2, optimiser="muon"))
    muon, adamw = optimiser._parts
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    inner = {names[id(parameter)] for group in muon.param_groups for parameter in group["params"]}
    rest = {names[id(parameter)] for group in adamw.param_groups for parameter in group["params"]}
    assert inner | rest == {name for name, parameter in net.named_parameters() if parameter.requires_grad}
    assert not inner & rest
    assert "backbone.encoder.layer.0.attention.self.query.weight" in inner
    assert {"classifier.weight", "backbone.embeddings.word_embeddings.weight"} <= rest
    assert all(net.get_parameter(name).ndim == 2 for name in inner)


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_the_output_layer_over_the_words_steps_by_adamw_tied_or_not(kind, tmp_path):
    net = load_language_model(locate_model(str(save_language_model(tmp_path, kind))), "causal", pad_id=0)
    is_tied = net.base.lm_head.weight is net.base.model.embed_tokens.weight
    assert is_tied == (kind == "qwen2")
    muon, adamw = make_optimiser(net, plan(learning_rate=1e-3, optimiser="muon"))._parts
    by_adamw = {id(parameter) for group in adamw.param_groups for parameter in group["params"]}
    assert {id(net.base.lm_head.weight), id(net.base.model.embed_tokens.weight)} <= by_adamw
    assert len([one for group in muon.param_groups for one in group["params"]]) == 2 * 7


@pytest.mark.parametrize(("size", "times"), [(0.02, 1.0), (0.1, 1.0), (1.0, 10.0)])
def test_a_table_of_large_numbers_steps_in_proportion_to_them(size, times):
    net = torch.nn.Sequential(torch.nn.Embedding(6, 4), torch.nn.Linear(4, 4, bias=False))
    with torch.no_grad():
        net[0].weight.fill_(size)
    _, adamw = make_optimiser(net, plan(learning_rate=1e-3, optimiser="muon"))._parts
    assert [group["peak"] for group in adamw.param_groups] == [pytest.approx(times * 1e-3)]


def test_queries_that_begin_at_an_eighth_of_the_other_matrices_step_an_eighth_as_far(tmp_path):
    folder = locate_model(str(save_language_model(tmp_path, "t5")))
    net = load_language_model(folder, "seq2seq", pad_id=0)
    muon, _ = make_optimiser(net, plan(learning_rate=1e-3, optimiser="muon"))._parts
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    peaks = {names[id(parameter)]: group["peak"] for group in muon.param_groups for parameter in group["params"]}
    queries = {name for name in peaks if name.endswith(".q.weight")}
    assert len(queries) == 6  # two blocks of the encoder attend once, two of the decoder twice
    for name, peak in peaks.items():
        assert peak == (pytest.approx(1e-3 / net.base.config.d_kv**0.5, rel=0.2) if name in queries else 1e-3)


def test_a_step_equals_torchs_own_muon_at_the_rate_that_was_set():
    torch.manual_seed(0)
    ours, theirs = torch.nn.Sequential(torch.nn.Linear(6, 4, bias=False)), torch.nn.Linear(6, 4, bias=False)
    theirs.load_state_dict(ours[0].state_dict())
    optimiser = make_optimiser(ours, plan(learning_rate=1e-2, optimiser="muon", weight_decay=0.1))
    reference = torch.optim.Muon(theirs.parameters(), lr=5e-3, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    x = torch.randn(12, 6)  # gradients of full rank: elsewhere rounding decides
    for group in optimiser.param_groups:
        group["lr"] = 5e-3
    before = theirs.weight.detach().clone()
    for layer, step in ((ours, optimiser), (theirs, reference)):
        layer(x).square().sum().backward()
        step.step()
    apart = ((ours[0].weight - theirs.weight).norm() / (theirs.weight - before).norm()).item()
    assert apart == 0 if has_fast_bf16(torch.device("cpu")) else apart < 0.04  # torch rounds its direction to bf16


def test_directions_in_fp32_are_those_that_torch_rounds():
    """Tall, wide and square matrices, some together, over steps with momentum; and each direction has singular values near 1."""
    torch.manual_seed(0)
    shapes = [(8, 24), (8, 24), (24, 8), (16, 16), (8, 24), (600, 500)]
    ours = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    theirs = [torch.nn.Parameter(one.detach().clone()) for one in ours]
    idle = torch.nn.Parameter(torch.ones(8, 24))  # has no gradient
    usual = {"lr": 0.1, "weight_decay": 0.1, "adjust_lr_fn": "match_rms_adamw"}
    own, reference = Muon32([*ours, idle], **usual), torch.optim.Muon([*theirs, idle], **usual)
    for _ in range(4):
        before = [one.detach().clone() for one in ours]
        for mine, yours in zip(ours, theirs, strict=True):
            mine.grad = torch.randn_like(mine)
            yours.grad = mine.grad.clone()
        own.step()
        reference.step()
        for mine, yours, was in zip(ours, theirs, before, strict=True):
            assert (mine - yours).norm() < 0.04 * (yours - was).norm()
            yours.data.copy_(mine)
    assert (idle == 1).all() and own.state_dict()["state"].keys() == reference.state_dict()["state"].keys()
    moved = (before[0] * (1 - 0.1 * 0.1) - ours[0]) / (0.1 * 0.2 * 24**0.5)
    values = torch.linalg.svdvals(moved.detach())
    assert values.min() > 0.6 and values.max() < 1.3


def test_two_optimisers_in_one_go_on_where_their_state_was_taken():
    torch.manual_seed(0)
    x = torch.randn(8, 6)

    def made():
        torch.manual_seed(1)
        return torch.nn.Sequential(torch.nn.Embedding(5, 6), torch.nn.Linear(6, 4))

    def step(net, optimiser):
        optimiser.zero_grad()
        (net[1](net[0](torch.tensor([0, 1, 2]))) - x[:3, :4]).square().sum().backward()
        optimiser.step()

    settings = plan(learning_rate=1e-2, optimiser="muon")
    whole, half = made(), made()
    one, two = make_optimiser(whole, settings), make_optimiser(half, settings)
    for _ in range(4):
        step(whole, one)
    for _ in range(2):
        step(half, two)
    again = made()
    again.load_state_dict(half.state_dict())
    resumed = make_optimiser(again, settings)
    resumed.load_state_dict(two.state_dict())
    for group in resumed.param_groups:
        group["lr"] = group["peak"]
    for _ in range(2):
        step(again, resumed)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in whole.state_dict().items())


def test_nothing_that_moves_is_a_broken_promise():
    arguments = toy()
    arguments["net"].weight.requires_grad = False
    with pytest.raises(AssertionError, match="no parameter moves"):
        fit(**arguments)


# validation


def scripted(values, kept=None):
    """A score that answers from a list and remembers the parameters it saw."""
    waiting = list(values)

    def score(net):
        assert not net.training
        if kept is not None:
            kept.append(bits(net))
        return waiting.pop(0)

    return score


def test_the_parameters_of_the_best_score_are_kept():
    arguments, kept = toy(steps=8, evaluations=4), []
    record = fit(**arguments, score=scripted([0.1, 0.7, 0.3, 0.5], kept))
    assert same_bits(bits(arguments["net"]), kept[1]) and not same_bits(kept[1], kept[3])
    assert (record.best_score, record.best_step, record.steps) == (0.7, 4, 8) and not record.stopped_early


def test_of_equal_scores_the_first_is_kept():
    record = fit(**toy(steps=8, evaluations=4), score=scripted([0.2, 0.6, 0.6, 0.6]))
    assert record.best_step == 4


def test_of_scores_that_tie_the_last_is_kept():
    """0.65 ties with 0.7, 0.6 does not; a tie does not renew the patience."""
    arguments, kept = toy(steps=8, evaluations=4, tie=0.06), []
    record = fit(**arguments, score=scripted([0.1, 0.7, 0.65, 0.6], kept))
    assert (record.best_step, record.best_score) == (6, 0.65) and same_bits(bits(arguments["net"]), kept[2])
    assert fit(**toy(steps=20, evaluations=10, patience=3, tie=0.06), score=scripted([0.7, 0.65, 0.65, 0.65, 9.9])).steps == 8


def test_training_ends_after_patience_scores_without_a_better_one():
    arguments, kept = toy(steps=20, evaluations=10, patience=3), []
    record = fit(**arguments, score=scripted([0.5, 0.6, 0.6, 0.1, 0.2, 9.9], kept))
    assert record.stopped_early and record.steps == 10 and len(record.log) == 5
    assert (record.best_step, record.best_score) == (4, 0.6) and same_bits(bits(arguments["net"]), kept[1])


def test_a_better_score_renews_the_patience():
    record = fit(**toy(steps=16, evaluations=8, patience=2), score=scripted([0.5, 0.1, 0.6, 0.1, 0.7, 0.1, 0.8, 0.1]))
    assert not record.stopped_early and record.steps == 16 and record.best_step == 14


def test_any_score_is_better_than_none():
    """A correlation of answers that are all alike is no number: what comes after it counts."""
    nan = math.nan
    record = fit(**toy(steps=12, evaluations=6, patience=3), score=scripted([nan, nan, 0.1, nan, 0.2, 0.1]))
    assert (record.best_step, record.best_score, record.steps) == (10, 0.2, 12)
    record = fit(**toy(steps=12, evaluations=6, patience=2), score=scripted([0.1, nan, nan, 0.9]))
    assert (record.best_step, record.best_score, record.steps, record.stopped_early) == (2, 0.1, 6, True)


def test_scores_are_taken_evenly_and_at_the_end():
    record = fit(**toy(steps=10, evaluations=4), score=scripted([1, 2, 3, 4]))
    assert [entry.step for entry in record.log] == [3, 5, 8, 10]
    assert [entry.score for entry in record.log] == [1, 2, 3, 4]


def test_without_a_score_the_last_parameters_stay():
    record = fit(**toy(steps=5, evaluations=4))
    assert (record.best_score, record.best_step, record.log) == (None, 5, ())


def test_the_logged_loss_is_the_mean_since_the_last_entry():
    arguments = toy(steps=4, evaluations=2)
    losses = []
    plain = arguments["objective"].loss

    def remembered(net, batch):
        loss, count = plain(net, batch)
        losses.append((loss.item(), count))
        return loss, count

    arguments["objective"].loss = remembered
    record = fit(**arguments, score=scripted([1, 2]))
    for entry, half in zip(record.log, (losses[:2], losses[2:]), strict=True):
        assert entry.loss == pytest.approx(sum(loss for loss, _ in half) / sum(count for _, count in half))


# failures


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_names_the_step_and_the_rows(bad):
    arguments = toy(steps=8, batch_rows=4)
    plain = arguments["objective"].loss

    def breaks(net, batch):
        loss, count = plain(net, batch)
        return (loss * bad if any(item.x == 7.0 for item in batch) else loss), count

    arguments["objective"].loss = breaks
    with pytest.raises(Failed) as caught:
        fit(**arguments)
    message = str(caught.value)
    batches = [batch for batch in arguments["objective"].seen if 7.0 in batch]
    rows = sorted(int(x) - 1 for x in batches[0]) if len(batches[0]) == 4 else [6]
    assert all(str(row) in message for row in rows) and "\n" not in message
    assert "at step " in message and caught.value.exit_code == 1 and "learning rate" in message


def test_a_gradient_that_is_no_number_stops_before_it_moves_anything(tmp_path):
    """The loss is a number still: without the guard the weights are none from here on, and so are those that a checkpoint keeps."""
    arguments, file = toy(steps=40, batch_rows=4, checkpoint_seconds=0.0), tmp_path / "run.checkpoint"
    plain = arguments["objective"].loss

    def breaks(net, batch):
        loss, count = plain(net, batch)
        flat = (net.weight * 0).square().sum().sqrt()  # 0, with no slope there
        return (loss + flat if any(item.x == 7.0 for item in batch) else loss), count

    arguments["objective"].loss = breaks
    with pytest.raises(Failed, match=r"The gradient is nan at step \d+, in the batch of examples .*\b6\b"):
        fit(**arguments, checkpoint=file)
    assert all(torch.isfinite(value).all() for value in bits(arguments["net"]).values())
    if file.exists():  # of the steps before
        kept = torch.load(file, weights_only=True)["parameters"]
        assert all(torch.isfinite(value).all() for value in kept.values())


def test_a_failed_step_moves_nothing():
    arguments = toy()
    arguments["encoded"][3].x = math.nan
    states = []
    arguments["plan"] = plan(batch_rows=20)
    states.append(bits(arguments["net"]))
    with pytest.raises(Failed, match="The training loss is nan at step 1, in the batch of examples"):
        fit(**arguments)
    assert same_bits(bits(arguments["net"]), states[0])


# repeatability


class Killed(BaseException):
    """The moment at which the power fails."""


def tuned(located, reader, examples, what, *, seed=0):
    """Arguments of `fit` for a network with dropout: a trainable's name, or `contrast`."""
    torch.manual_seed(11)
    if what == "contrast":
        objective = Contrast(LABELS, reader, pooling="mean")
        net = load_backbone(located())
    else:
        objective = Classify(LABELS, reader)
        net = make_trainable(what).prepare(load_classifier(located(), LABELS))
    return {
        "net": net,
        "encoded": objective.encode(examples),
        "objective": objective,
        "mixture": SingleTask(len(examples)),
        "plan": plan(seed=seed, steps=9, batch_rows=5, evaluations=3, checkpoint_seconds=0.0, forward_tokens=60),
    }


def falling(net):
    """A score that depends on the parameters, so that the best step is not always the last."""
    return float(sum(parameter.detach().sum() for parameter in trained_parameters(net).values()))


@pytest.mark.parametrize("what", ["full", "contrast"])
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(what, located, reader, examples):
    runs = []
    for drawn_before, seed in enumerate((0, 0, 1)):
        arguments = tuned(located, reader, examples, what, seed=seed)
        torch.rand(drawn_before)  # must not matter
        fit(**arguments)
        runs.append(bits(arguments["net"]))
    assert same_bits(runs[0], runs[1]) and not same_bits(runs[0], runs[2])


def test_dropout_is_on_in_training(located, reader, examples):
    runs = []
    for rate in (0.0, 0.5):
        arguments = tuned(located, reader, examples, "head")
        arguments["net"].dropout.p = rate
        fit(**arguments)
        runs.append(bits(arguments["net"]))
    assert not same_bits(*runs)


@pytest.mark.parametrize("killed_at", [1, 2, 3])
@pytest.mark.parametrize("what", [*sorted(TRAINABLES), "contrast"])
def test_a_killed_run_ends_with_the_bits_of_one_that_was_not(what, killed_at, located, reader, examples, tmp_path):
    whole = tuned(located, reader, examples, what)
    expected = fit(**whole, score=falling)
    calls = []

    def dies(net):
        calls.append(1)
        if len(calls) == killed_at:
            raise Killed
        return falling(net)

    checkpoint = tmp_path / "run.checkpoint"
    with pytest.raises(Killed):
        fit(**tuned(located, reader, examples, what), score=dies, checkpoint=checkpoint)
    assert checkpoint.exists()
    torch.manual_seed(999)
    resumed = tuned(located, reader, examples, what)
    record = fit(**resumed, score=falling, checkpoint=checkpoint)
    assert same_bits(bits(resumed["net"]), bits(whole["net"]))
    facts = ("steps", "best_step", "best_score", "examples_seen", "tokens_seen", "padding", "log", "stopped_early")
    assert [getattr(record, name) for name in facts] == [getattr(expected, name) for name in facts]


@pytest.mark.parametrize("killed_at", range(1, 40, 6))
def test_a_run_killed_within_a_pass_sees_the_examples_that_were_left(killed_at, tmp_path):
    """Batches of one row: 16 of the 20 examples are drawn ahead, so the stream is stopped in the middle of a pass."""
    settings = {"steps": 40, "batch_rows": 1, "evaluations": 40, "patience": 99, "checkpoint_seconds": 0.0}
    whole, checkpoint = toy(**settings), tmp_path / "run.checkpoint"
    fit(**whole, score=falling)
    calls = []

    def dies(net):
        calls.append(1)
        if len(calls) == killed_at + 1:
            raise Killed
        return falling(net)

    with pytest.raises(Killed):
        fit(**toy(**settings), score=dies, checkpoint=checkpoint)
    resumed = toy(**settings)
    fit(**resumed, score=falling, checkpoint=checkpoint)
    assert resumed["objective"].seen == whole["objective"].seen[killed_at:]
    assert same_bits(bits(resumed["net"]), bits(whole["net"]))


def test_a_resumed_run_does_not_repeat_finished_steps(tmp_path):
    checkpoint = tmp_path / "run.checkpoint"
    first = toy(steps=8, evaluations=2, checkpoint_seconds=0.0)

    def dies(_net):
        raise Killed

    with pytest.raises(Killed):
        fit(**first, score=dies, checkpoint=checkpoint)
    second = toy(steps=8, evaluations=2, checkpoint_seconds=0.0)
    record = fit(**second, score=scripted([1, 2]), checkpoint=checkpoint)
    assert (len(first["objective"].seen), len(second["objective"].seen)) == (4, 5)  # step 4 was not yet on disk
    assert record.steps == 8 and record.examples_seen == 40


def test_a_run_that_was_finished_is_not_run_again(tmp_path):
    checkpoint = tmp_path / "run.checkpoint"
    first = toy(steps=4, checkpoint_seconds=0.0)
    fit(**first, checkpoint=checkpoint)
    again = toy(steps=4, checkpoint_seconds=0.0)
    record = fit(**again, checkpoint=checkpoint)
    assert again["objective"].seen == [] and record.steps == 4 and same_bits(bits(again["net"]), bits(first["net"]))


def test_a_run_that_was_stopped_early_stays_stopped(tmp_path):
    checkpoint = tmp_path / "run.checkpoint"
    settings = {"steps": 12, "evaluations": 6, "patience": 1, "checkpoint_seconds": 0.0}
    first = toy(**settings)
    expected = fit(**first, score=scripted([0.5, 0.1]), checkpoint=checkpoint)
    again = toy(**settings)
    record = fit(**again, score=scripted([]), checkpoint=checkpoint)
    assert expected.stopped_early and record.stopped_early and record.steps == 4 and again["objective"].seen == []
    assert same_bits(bits(again["net"]), bits(first["net"]))


def test_checkpoints_do_not_change_the_result(tmp_path):
    plain, saved = toy(), toy(checkpoint_seconds=0.0)
    fit(**plain)
    fit(**saved, checkpoint=tmp_path / "run.checkpoint")
    assert same_bits(bits(plain["net"]), bits(saved["net"]))


def test_checkpoints_are_written_no_more_often_than_the_plan_says(tmp_path):
    fit(**toy(checkpoint_seconds=1000.0), checkpoint=tmp_path / "run.checkpoint")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_while_a_checkpoint_is_written_leaves_the_last_one_to_go_on_from(tmp_path, monkeypatch):
    checkpoint = tmp_path / "run.checkpoint"
    plain = toy()
    fit(**plain)
    sync, syncs = os.fsync, []

    def fills_up(handle):
        syncs.append(handle)
        if len(syncs) > 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fills_up)
        with pytest.raises(Failed, match="The disk is full while writing"):
            fit(**toy(checkpoint_seconds=0.0), checkpoint=checkpoint)
    assert list(tmp_path.iterdir()) == [checkpoint]
    resumed = toy(checkpoint_seconds=0.0)
    fit(**resumed, checkpoint=checkpoint)
    assert len(resumed["objective"].seen) == 12 - 5 and same_bits(bits(resumed["net"]), bits(plain["net"]))


class Trap:
    """A pickle that leaves a file behind when it is opened."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (self.path,))


def test_a_checkpoint_cannot_run_code(tmp_path, capsys):
    sprung = tmp_path / "sprung"
    torch.save({"parameters": Trap(str(sprung))}, tmp_path / "run.checkpoint")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        record = fit(**toy(), checkpoint=tmp_path / "run.checkpoint")
    assert not sprung.exists()
    assert record.steps == toy()["plan"].steps
    assert "starts over" in capsys.readouterr().err


def test_a_cut_checkpoint_is_told_of_and_training_starts_over(tmp_path, capsys):
    checkpoint = tmp_path / "run.checkpoint"
    whole = fit(**toy(checkpoint_seconds=0.0), checkpoint=checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes()[:200])
    assert fit(**toy(), checkpoint=checkpoint).log == whole.log
    assert "run.checkpoint is damaged" in " ".join(capsys.readouterr().err.split())


def test_a_checkpoint_of_another_network_is_not_read(tmp_path):
    checkpoint = tmp_path / "run.checkpoint"
    fit(**toy(checkpoint_seconds=0.0), checkpoint=checkpoint)
    other = toy()
    other["net"] = torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False))
    with pytest.raises(AssertionError, match="another network"):
        fit(**other, checkpoint=checkpoint)


def test_the_bar_moves_once_a_step():
    moves, notes = [], []

    class Bar:
        def advance(self, amount=1):
            moves.append(amount)

        def describe(self, text):
            notes.append(text)

    events = []
    fit(**toy(steps=7), bar=Bar(), listener=events.append)
    assert sum(moves) == 7
    assert [note.split(",")[0] for note in notes] == [f"loss {event.loss:.3f}" for event in events]
    assert all(note.endswith(" tokens/s") for note in notes) and len(set(notes)) > 1


def test_everything_promised_is_there():
    import hone.train

    assert all(hasattr(hone.train, name) for name in hone.train.__all__)
