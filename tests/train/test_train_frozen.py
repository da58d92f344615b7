"""Frozen lower blocks computed once: the same losses and scores, the same bits after a kill, and only where nothing below the border moves."""

import pytest
import torch

from hone.catalogue import locate_model
from hone.core.errors import Usage
from hone.model import Renderer, load_classifier, load_language_model, load_reader
from hone.task import Completion, Example
from hone.train import (
    Classify,
    Complete,
    Masked,
    SingleTask,
    TrainPlan,
    fit,
    make_trainable,
    measure_loss,
    trained_parameters,
)
from hone.train.frozen import find_frozen
from tiny import LABELS, SENTENCES
from tiny_language import save_language_model

KINDS = ("llama", "gpt2", "bert", "modernbert")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A tiny model of a kind, with a reader."""
    made = {}

    def find(kind):
        if kind not in made:
            made[kind] = locate_model(str(save_language_model(tmp_path_factory.mktemp(f"frozen-{kind}"), kind)))
        return made[kind], load_reader(made[kind], precision="fp32")

    return find


def prepared(base, kind, method="top", **options):
    """Network, objective and encoded rows: an encoder learns classes, a decoder completions."""
    folder, reader = base(kind)
    torch.manual_seed(0)
    if kind in ("bert", "modernbert"):
        net = load_classifier(folder, LABELS)
        objective = Classify(LABELS, reader)
        rows = [Example(text, LABELS[n % 3], "rows", n) for n, text in enumerate(SENTENCES)]
    else:
        net = load_language_model(folder, "causal", pad_id=reader.pad_id)
        objective = Complete(Renderer(reader.tokenizer, length=48, template="{prompt}\n", chat=False, trains_all=False))
        rows = [Completion(text, "please refund", "rows", n) for n, text in enumerate(SENTENCES)]
    return make_trainable(method, **options).prepare(net), objective, objective.encode(rows)


def plan(**settings):
    usual = {"learning_rate": 1e-2, "head_learning_rate": 1e-2, "steps": 12, "batch_rows": 5, "evaluations": 0}
    return TrainPlan(**usual | {"forward_tokens": 40} | settings)


def losses(net, objective, encoded, *, reader=None, **settings):
    """Of all steps, and with a reader the scores between them."""
    heard = []
    score = (lambda one: -measure_loss(one, objective, encoded, reader).loss) if reader else None
    asked, mixture = plan(**settings), SingleTask(len(encoded))
    fit(net, encoded, plan=asked, objective=objective, mixture=mixture, score=score, listener=heard.append)
    return [event.loss for event in heard] + [event.score for event in heard if event.score is not None]


def find(net, objective, encoded, *, is_held=False, is_alone=True, **settings):
    return find_frozen(net, encoded, plan=plan(**settings), objective=objective, is_held=is_held, is_alone=is_alone)


def passes_through(block):
    """How many times a block is computed from now on."""
    counted = []
    own = block.forward
    block.forward = lambda *arguments, **named: (counted.append(1), own(*arguments, **named))[1]
    return counted


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", [{"method": "top", "count": 1}, {"method": "lora", "layers": 1}], ids=["top", "lora"])
@pytest.mark.parametrize(
    "settings", [{}, {"precision": "bf16"}, {"gradient_checkpointing": True}], ids=["fp32", "bf16", "recomputed"]
)
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks transformers by its old name
def test_losses_and_scores_are_those_of_computing_everything(kind, method, settings, base):
    found = {}
    for budget in (2**20, 0):
        net, objective, encoded = prepared(base, kind, **method)
        for module in net.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.3
        is_kept = find(net, objective, encoded, keep_bytes=budget)
        assert (is_kept.blocks, is_kept.of, is_kept.keeps) == (1, 2, budget > 0)
        found[budget] = losses(net, objective, encoded, reader=base(kind)[1], keep_bytes=budget, evaluations=3, **settings)
    tolerance = 3e-2 if settings.get("precision") == "bf16" else 1e-4
    assert len(set(found[0])) == 12 + 3
    assert found[2**20] == pytest.approx(found[0], rel=tolerance)


def test_lora_on_the_last_block_leaves_the_lower_ones_frozen_and_comes_back(base, tmp_path):
    net, objective, encoded = prepared(base, "llama", method="lora", layers=1)
    assert all(".layers.1." in name for name in trained_parameters(net))
    seen = losses(net, objective, encoded)
    assert seen[-1] < seen[0]
    assert not find(*prepared(base, "llama", method="lora")).blocks
    make_trainable("lora").save(net, tmp_path)
    folder, reader = base("llama")
    again = make_trainable("lora").load(load_language_model(folder, "causal", pad_id=reader.pad_id), tmp_path)
    assert measure_loss(again, objective, encoded, reader).loss == pytest.approx(
        measure_loss(net, objective, encoded, reader).loss
    )


def test_lora_on_more_blocks_than_there_are_is_refused(base):
    with pytest.raises(Usage, match="2 blocks, so the last 3"):
        prepared(base, "llama", method="lora", layers=3)


@pytest.mark.parametrize("kind", ["llama", "bert"])
def test_a_frozen_block_is_computed_once_for_each_row(kind, base):
    net, objective, encoded = prepared(base, kind, count=1)
    stack = net.base.base_model.layers if kind == "llama" else net.base.base_model.encoder.layer
    lower, upper = passes_through(stack[0]), passes_through(stack[1])
    losses(net, objective, encoded, forward_tokens=1000)
    assert len(lower) == 1 + 1  # for all rows, and once more to try that nothing changes
    assert len(upper) == 12 + 2


def test_a_head_alone_reads_what_all_blocks_made(base):
    net, objective, encoded = prepared(base, "bert", method="head")
    found = find(net, objective, encoded)
    assert (found.blocks, found.of, found.keeps) == (2, 2, True)
    net.dropout.p = 0.0
    before = {name: parameter.clone() for name, parameter in net.named_parameters()}
    seen = losses(net, objective, encoded, head_learning_rate=0.3)
    assert seen[-1] < seen[0]
    assert {name for name, one in net.named_parameters() if not torch.equal(one, before[name])} == {
        "classifier.weight",
        "classifier.bias",
    }


def test_an_output_layer_alone_reads_what_all_blocks_made_of_all_tokens(base, capsys):
    found = {}
    for budget in (2**20, 0):
        net, objective, encoded = prepared(base, "llama", method="head")
        passed = passes_through(net.base.base_model.layers[-1])
        found[budget] = losses(net, objective, encoded, keep_bytes=budget, forward_tokens=1000)
        assert len(passed) == (1 + 1 if budget else 12)
    assert found[2**20] == pytest.approx(found[0], rel=1e-4)
    assert "after all" not in capsys.readouterr().err


def test_frozen_blocks_drop_nothing_out_and_trained_ones_do(base):
    net, objective, encoded = prepared(base, "bert", count=1)
    dropped = []
    for name, module in net.named_modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.5
            module.register_forward_hook(lambda one, _inputs, _output, name=name: dropped.append((name, one.training)))
    losses(net, objective, encoded, steps=1, keep_bytes=0)
    assert {name for name, is_on in dropped if is_on} and {name for name, is_on in dropped if not is_on}
    assert all(is_on == ("layer.1." in name or name == "dropout") for name, is_on in dropped)


@pytest.mark.parametrize("recomputes", [False, True])
def test_no_gradient_goes_back_through_frozen_blocks(recomputes, base):
    net, objective, encoded = prepared(base, "llama", count=1)
    asked = []
    for block in net.base.base_model.layers:
        block.register_forward_hook(lambda _block, _given, found: asked.append(found.requires_grad))
    losses(net, objective, encoded, steps=1, keep_bytes=0, gradient_checkpointing=recomputes, forward_tokens=1000)
    assert asked[:2] == [False, True]


@pytest.mark.parametrize("method", ["full", "lora", "bias", "prompt", "prefix", "adapter"])
def test_where_the_first_block_or_what_stands_before_it_moves_nothing_is_frozen(method, base):
    assert not find(*prepared(base, "bert", method=method)).blocks


def test_an_output_layer_that_is_the_embedding_moves_what_blocks_read(base):
    assert not find(*prepared(base, "gpt2", method="head")).blocks
    assert find(*prepared(base, "llama", method="head")).blocks == 2


def test_work_is_not_kept_where_that_would_change_something_or_help_nobody(base):
    net, objective, encoded = prepared(base, "llama", count=1)
    size = 4 * 32 * sum(item.length for item in encoded)  # fp32, 32 wide
    assert find(net, objective, encoded).bytes == size
    assert find(net, objective, encoded, keep_bytes=size).keeps
    assert "are allowed" in find(net, objective, encoded, keep_bytes=size - 1).because
    assert "no row comes again" in find(net, objective, encoded, steps=2).because
    assert "several processes" in find(net, objective, encoded, is_alone=False).because
    assert "compiled" in find(net, objective, encoded, compile=True).because
    assert "holds training back" in find(net, objective, encoded, is_held=True).because
    assert "other tokens" in find(net, Masked(base("bert")[1], rate=0.15), encoded).because
    net.start = None
    assert "padded" in find(net, objective, encoded).because


def test_a_network_that_reads_below_the_border_again_is_computed_as_ever_and_said_to_be(base, capsys):
    net, objective, encoded = prepared(base, "llama", count=1)
    lower, upper = net.base.base_model.layers
    made = []
    lower.mlp.register_forward_hook(lambda _layer, _given, found: made.__setitem__(slice(None), [found]))
    upper.register_forward_pre_hook(lambda _block, given: (given[0] + 10 * made.pop() if made else given[0], *given[1:]))
    passed = passes_through(lower)
    losses(net, objective, encoded, forward_tokens=1000)
    assert "computed with every row after all" in capsys.readouterr().err
    assert len(passed) == 12 + 2


def test_blocks_are_themselves_again_after_training(base):
    net, objective, encoded = prepared(base, "modernbert", count=1)
    losses(net, objective, encoded)
    assert not any("forward" in vars(block) for block in net.base.base_model.layers)
    values = {name: parameter.clone() for name, parameter in trained_parameters(net).items()}
    losses(net, objective, encoded)
    assert any(not torch.equal(one, values[name]) for name, one in trained_parameters(net).items())


class Killed(Exception):
    """Stands in for a kill."""


@pytest.mark.parametrize("kind", ["llama", "bert"])
def test_a_run_that_goes_on_ends_with_the_same_bits(kind, base, tmp_path):
    def train(checkpoint, *, until=None):
        def heard(event):
            if event.step == until:
                raise Killed

        net, objective, encoded = prepared(base, kind, count=1)
        asked = plan(checkpoint_seconds=0.0, precision="bf16")
        mixture = SingleTask(len(encoded))
        fit(net, encoded, plan=asked, objective=objective, mixture=mixture, checkpoint=checkpoint, listener=heard)
        return trained_parameters(net)

    whole = train(tmp_path / "whole")
    with pytest.raises(Killed):
        train(tmp_path / "killed", until=7)
    resumed = train(tmp_path / "killed")
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
