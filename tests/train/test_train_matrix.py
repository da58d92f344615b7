"""Every objective with every trainable, regulariser and mixture; and that the loop's gradient is that of plain transformers."""

import itertools
import random

import pytest
import torch

from hone.catalogue import locate_model
from hone.core.errors import Usage
from hone.model import (
    Renderer,
    autocast,
    cross_entropy,
    family,
    load_classifier,
    load_language_model,
    load_reader,
    packing,
    read_config,
)
from hone.task import Completion, Dialogue, Example, Message, MultiLabelled, Passage, Plain, Scored, Tagged
from hone.train import (
    REGULARISERS,
    TRAINABLES,
    Answers,
    Causal,
    Classify,
    Complete,
    Masked,
    MultiLabel,
    Regress,
    SingleTask,
    SpanCorruption,
    Tag,
    TrainPlan,
    WriteTarget,
    fit,
    make_regulariser,
    make_trainable,
    proportional,
    replay,
    temperature,
    trained_parameters,
)
from tiny import SENTENCES
from tiny_language import DECODERS, ENCODER_DECODERS, MASKED, save_language_model

CPU = torch.device("cpu")
WORDS = " ".join(SENTENCES[:3]).replace(",", "").split()
TEXTS = [" ".join(random.Random(seed).choices(WORDS, k=6 + 3 * (seed % 4))) for seed in range(12)]
LABELS = ("late", "lost", "refund")
PLAIN = [Plain(text, "f", line) for line, text in enumerate(TEXTS)]
PAIRS = [Completion(text, "late refund" if line % 2 else "please refund", "f", line) for line, text in enumerate(TEXTS)]


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """Folder of a tiny model of a kind, made once."""
    made = {}

    def find(kind):
        if kind not in made:
            made[kind] = locate_model(str(save_language_model(tmp_path_factory.mktemp(kind), kind)))
        return made[kind]

    return find


def reader_of(folder):
    return load_reader(folder, precision="fp32", device=CPU)


def set_up(name, folder):
    """A fresh network, the objective and its examples, encoded."""
    reader = reader_of(folder)
    torch.manual_seed(0)
    if name in ("classify", "multi_label", "regression"):
        net = load_classifier(folder, LABELS if name != "regression" else ("score",))
        made = {
            "classify": lambda: (Classify(LABELS, reader), [Example(t, LABELS[i % 3], "f", i) for i, t in enumerate(TEXTS)]),
            "multi_label": lambda: (
                MultiLabel(LABELS, reader),
                [MultiLabelled(t, LABELS[: i % 4], "f", i) for i, t in enumerate(TEXTS)],
            ),
            "regression": lambda: (Regress(reader), [Scored(t, float(i % 5), "f", i) for i, t in enumerate(TEXTS)]),
        }
        objective, rows = made[name]()
    elif name == "tag":
        net = load_classifier(folder, ("O", "B"), per_token=True)
        objective = Tag(("O", "B"), reader)
        rows = [
            Tagged(tuple(t.split()), tuple("B" if w == "refund" else "O" for w in t.split()), "f", i) for i, t in enumerate(TEXTS)
        ]
    elif name == "answers":
        net = load_classifier(folder, ("first", "last"), per_token=True)
        objective = Answers(reader)
        rows = [Passage("where is it ?", f"the box {t}", ("box",), (4,), "f", i) for i, t in enumerate(TEXTS)]
    else:
        head = {"completion": "causal", "causal": "causal", "masked": "masked", "span": "seq2seq", "write": "seq2seq"}[name]
        net = load_language_model(folder, head, pad_id=0)
        made = {
            "completion": lambda: (Complete(Renderer(reader.tokenizer, length=48, chat=False)), PAIRS),
            "causal": lambda: (Causal(reader), PLAIN),
            "masked": lambda: (Masked(reader), PLAIN),
            "span": lambda: (SpanCorruption(reader, length=16), PLAIN),
            "write": lambda: (WriteTarget(reader), PAIRS),
        }
        objective, rows = made[name]()
    return net, objective, objective.encode(rows)


def kinds_for(name):
    """The smallest model that an objective fits on."""
    if name in ("completion", "causal"):
        return "llama"
    return "t5" if name in ("span", "write") else "bert"


OBJECTIVES = ("completion", "causal", "masked", "span", "write", "classify", "multi_label", "regression", "tag", "answers")
MIXTURES = {
    "single": SingleTask,
    "proportional": lambda n: proportional({"a": n // 2, "b": n - n // 2}, cap=4),
    "temperature": lambda n: temperature({"a": 2, "b": n - 2}, 2.0),
    "replay": lambda n: replay(n - 3, 3, rate=0.25),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_combination_trains(name, model):
    """10 objectives x 9 trainables x 4 regularisers x 4 mixtures, two steps each; what means nothing is refused with a reason."""
    folder = model(kinds_for(name))
    plan = TrainPlan(learning_rate=1e-2, head_learning_rate=1e-2, steps=2, batch_rows=6, evaluations=0)
    done = 0
    for trainable in TRAINABLES:
        net, objective, encoded = set_up(name, folder)
        try:
            net = make_trainable(trainable).prepare(net)
        except Usage as refusal:
            assert trainable == "bias" and "no biases" in str(refusal)
            assert kinds_for(name) in ("llama", "t5")
            continue
        for held, mixed in itertools.product(("none", *REGULARISERS), MIXTURES):
            before = {key: value.detach().clone() for key, value in trained_parameters(net).items()}
            regulariser = make_regulariser(held, 0.1)
            arguments = {
                "plan": plan,
                "objective": objective,
                "mixture": MIXTURES[mixed](len(encoded)),
                "regulariser": regulariser,
            }
            if held == "kl" and objective.head in ("pooled", "token"):
                with pytest.raises(Usage, match="base model has not"):
                    fit(net, encoded, **arguments)
                continue
            record = fit(net, encoded, **arguments)
            moved = [key for key, value in trained_parameters(net).items() if not torch.equal(value, before[key])]
            assert record.terms_seen > 0 and moved, (name, trainable, held, mixed)
            assert all(torch.isfinite(value).all() for value in trained_parameters(net).values())
            done += 1
    assert done >= 8 * 3 * 4


@pytest.mark.parametrize("method", ["full", "prefix"])
@pytest.mark.parametrize(("kind", "name"), [("llama", "completion"), ("gpt2", "completion"), ("t5", "write"), ("bert", "masked")])
def test_held_to_the_base_by_answers_blocks_can_be_recomputed(kind, name, method, model):
    """The base answers between a pass and the gradient for which its blocks are computed again; both ways train the same."""
    found = []
    for recomputes in (False, True):
        net, objective, encoded = set_up(name, model(kind))
        for module in net.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        net = make_trainable(method).prepare(net)
        heard = []
        plan = TrainPlan(learning_rate=1e-2, head_learning_rate=1e-2, steps=3, batch_rows=6, evaluations=0)
        fit(
            net,
            encoded,
            plan=plan.model_copy(update={"gradient_checkpointing": recomputes}),
            objective=objective,
            mixture=SingleTask(len(encoded)),
            regulariser=make_regulariser("kl", 1.0),
            listener=heard.append,
        )
        found.append([(event.loss, event.penalty, event.gradient_norm) for event in heard])
    for once, again in zip(*found, strict=True):
        assert again == pytest.approx(once, rel=1e-4)
    assert found[0][-1][1] > 0


@pytest.mark.parametrize("method", ["top", "lora", "ia3", "adapter"])
def test_what_the_base_relied_on_is_found_in_bf16_too(method, model):
    """Frozen matrices are held in bf16 then, and take no fp32."""
    net, objective, encoded = set_up("completion", model("llama"))
    net = make_trainable(method).prepare(net)
    net.narrow_frozen()
    plan = TrainPlan(learning_rate=1e-2, head_learning_rate=1e-2, steps=2, batch_rows=6, evaluations=0, precision="bf16")
    heard = []
    fit(
        net,
        encoded,
        plan=plan,
        objective=objective,
        mixture=SingleTask(len(encoded)),
        regulariser=make_regulariser("ewc", 1.0),
        listener=heard.append,
    )
    assert heard[-1].penalty > 0


@pytest.mark.parametrize("name", ["regression", "multi_label", "answers"])
def test_answers_are_drawn_as_the_objective_understands_them(name, model):
    """The mean squared gradient of many drawn answers is the Fisher information: for a number 1, for a label p (1 - p), and so for a
    token as the first or the last of an answer, among all tokens."""
    _, objective, encoded = set_up(name, model("bert"))
    torch.manual_seed(0)
    batch = encoded[:1]
    logits = torch.randn((len(batch[0].ids), 2) if name == "answers" else (1, 1 if name == "regression" else 3))
    wanted = {
        "regression": lambda: torch.ones(1, 1),
        "multi_label": lambda: logits.sigmoid() * (1 - logits.sigmoid()),
        "answers": lambda: logits.softmax(dim=0) * (1 - logits.softmax(dim=0)),
    }[name]()
    found = torch.zeros_like(logits)
    for _ in range(3000):
        leaf = logits.clone().requires_grad_()
        objective.drawn(leaf, batch).backward()
        found += leaf.grad.square() / 3000
    assert torch.allclose(found, wanted, atol=0.03 + 0.05 * (name == "regression"))


def plain_loss(net, name, item):
    """The loss of one item by transformers' own forward pass, nothing of hone in it."""
    base = net.base
    ids = torch.tensor([item.ids if hasattr(item, "ids") else item.source])
    if name == "write":
        return base(input_ids=ids, labels=torch.tensor([item.target])).loss * len(item.target), len(item.target)
    labels = torch.full_like(ids, -100)
    shift = 0 if name == "masked" else 1
    for place, label in zip(item.places, item.labels, strict=True):
        labels[0, place + shift] = label
    return base(input_ids=ids, labels=labels).loss * len(item.labels), len(item.labels)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *((kind, "completion") for kind in (*DECODERS, "gemma2", "bloom")),
        *((kind, "write") for kind in ENCODER_DECODERS),
        *((kind, "masked") for kind in MASKED),
    ],
)
def test_gradients_are_those_of_plain_transformers(kind, name, model):
    """A packed batch of several rows against one row at a time through transformers, in fp32."""
    net, objective, encoded = set_up(name, model(kind))
    net.eval()
    torch.manual_seed(1)
    batch = objective.collate(encoded[:5])
    if name == "masked":
        batch = [item for item in batch if item.labels]
    loss, count = objective.loss(net, batch)
    loss.backward()
    ours = {key: parameter.grad.clone() for key, parameter in net.named_parameters() if parameter.grad is not None}
    net.zero_grad()
    total, terms = 0.0, 0
    for item in batch:
        if name != "write":
            net.base.set_attn_implementation("eager")
        part, n = plain_loss(net, name, item)
        part.backward()
        total, terms = total + part.item(), terms + n
    theirs = {key: parameter.grad for key, parameter in net.named_parameters() if parameter.grad is not None}
    assert count == terms
    assert loss.item() == pytest.approx(total, rel=1e-5)
    assert ours.keys() == theirs.keys()
    for key, gradient in ours.items():
        scale = max(float(theirs[key].abs().max()), 1e-3)
        assert float((gradient - theirs[key]).abs().max()) <= 1e-5 * scale + 1e-6, key


@pytest.mark.parametrize("hold", ["none", "kl"])
def test_experts_are_kept_in_balance_where_the_configuration_asks_for_it(hold, model):
    """The step is that of transformers' own loss: mean cross-entropy and what it adds for the routers, over all tokens of the row."""
    net, objective, encoded = set_up("completion", model("mixtral"))
    rows = [max(encoded, key=lambda item: item.length)]
    plan = TrainPlan(learning_rate=0.0, head_learning_rate=0.0, steps=1, batch_rows=1, evaluations=0, clip=1e9)
    heard = []
    fit(
        net,
        rows,
        plan=plan,
        objective=objective,
        mixture=SingleTask(1),
        regulariser=make_regulariser(hold, 0.1),  # nothing to hold in the first step
        listener=heard.append,
    )
    (event,) = heard
    net.zero_grad()
    net.base.set_attn_implementation("eager")
    net.train()
    loss, terms = plain_loss(net, "completion", rows[0])
    (loss / terms).backward()
    norm = torch.nn.utils.get_total_norm([one.grad for one in net.parameters() if one.grad is not None])
    assert event.penalty > 0.1
    assert event.loss + event.penalty == pytest.approx(loss.item() / terms, rel=1e-5)
    assert event.gradient_norm == pytest.approx(float(norm), rel=1e-4)


@pytest.mark.parametrize("kind", [*DECODERS, *ENCODER_DECODERS, *MASKED])
def test_packed_batches_longer_than_the_position_table(kind, model):
    """96 rows: more tokens than the model knows positions, none of them in one sequence."""
    name = "write" if kind in ENCODER_DECODERS else "masked" if kind in MASKED else "completion"
    net, objective, encoded = set_up(name, model(kind))
    assert net.packs
    net.eval()
    torch.manual_seed(1)
    batch = objective.collate(encoded * 8)
    assert sum(item.length for item in batch) > 2 * 64
    with torch.no_grad():
        together = objective.logits(net, batch)
        alone = torch.cat([objective.logits(net, [item]) for item in batch])
    assert torch.allclose(together, alone, atol=2e-4 * float(alone.abs().max()))


@pytest.mark.parametrize("kind", [*DECODERS, *ENCODER_DECODERS, *MASKED])
def test_tokens_behind_the_last_row_change_nothing(kind, model, monkeypatch):
    """In bf16 on a CPU batches are lengthened to sizes that come again; loss and gradients are those of the batch as it is."""
    name = "write" if kind in ENCODER_DECODERS else "masked" if kind in MASKED else "completion"
    net, objective, encoded = set_up(name, model(kind))
    net.eval()
    torch.manual_seed(1)
    batch = objective.collate(encoded[:5])
    read = []
    reader = net.base.get_encoder() if kind in ENCODER_DECODERS else net.base
    reader.get_input_embeddings().register_forward_hook(lambda _, arguments, __: read.append(arguments[0].shape[-1]))

    def gradients():
        net.zero_grad()
        with autocast("bf16", CPU):
            loss, terms = objective.loss(net, batch)
        loss.backward()
        return loss.item() / terms, {key: one.grad.clone() for key, one in net.named_parameters() if one.grad is not None}

    loss, ours = gradients()
    assert read and all(size % 16 == 0 for size in read)
    for module in (packing, cross_entropy):
        monkeypatch.setattr(module, "common_size", lambda rows, device: rows)
    read.clear()
    wanted, theirs = gradients()
    assert any(size % 16 for size in read), "the batch has a size that comes again as it is: take other rows"
    assert loss == pytest.approx(wanted, rel=1e-3)
    assert ours.keys() == theirs.keys()
    for key, gradient in ours.items():
        assert torch.allclose(gradient, theirs[key], rtol=0.1, atol=0.02 * float(theirs[key].abs().max()) + 1e-6), key


@pytest.mark.parametrize("name", ["completion", "write", "classify"])
def test_rows_in_one_batch_or_in_many_parts_train_the_same(name, model):
    """Accumulation: one forward pass of the whole batch, or many of a few tokens."""
    found = []
    for tokens in (4096, 24):
        net, objective, encoded = set_up(name, model(kinds_for(name)))
        for module in net.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        if hasattr(net.base.config, "attention_dropout"):
            net.base.config.attention_dropout = 0.0
        plan = TrainPlan(
            learning_rate=1e-3, head_learning_rate=1e-3, steps=3, batch_rows=12, forward_tokens=tokens, evaluations=0
        )
        losses = []
        fit(
            net,
            encoded,
            plan=plan,
            objective=objective,
            mixture=SingleTask(len(encoded)),
            listener=lambda e, losses=losses: losses.append(e.loss),
        )
        found.append((losses, {key: value.detach() for key, value in trained_parameters(net).items()}))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-4)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_tiny_set_is_learnt_by_heart(name, model):
    """Near-zero loss on a few examples. Masked and span draw other gaps each time, so there the loss falls by half; of plain texts that
    begin alike nobody can know the next word."""
    net, objective, encoded = set_up(name, model(kinds_for(name)))
    for module in net.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    steps = 150
    plan = TrainPlan(learning_rate=5e-3, head_learning_rate=5e-3, steps=steps, batch_rows=4, evaluations=0, weight_decay=0.0)
    losses = []
    items = encoded[:4]
    fit(
        net,
        items,
        plan=plan,
        objective=objective,
        mixture=SingleTask(len(items)),
        listener=lambda event: losses.append(event.loss),
    )
    if name in ("masked", "span"):
        assert sum(losses[-10:]) < 0.5 * sum(losses[:10])
    else:
        assert losses[-1] < (0.3 if name == "causal" else 0.1)


def test_families_are_told_apart(model):
    assert family(read_config(model("llama"))) == "decoder"
    assert family(read_config(model("t5"))) == "encoder-decoder"
    assert family(read_config(model("bert"))) == "encoder"


def test_the_end_of_sequence_is_trained_also_where_it_is_the_padding(model):
    reader = reader_of(model("llama"))
    tokenizer = reader.tokenizer
    found = Complete(Renderer(tokenizer, length=48, chat=False)).encode(PAIRS[:1])[0]
    assert found.labels[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(found.labels[:-1]) == PAIRS[0].completion


def test_a_dialogue_trains_all_answers_of_the_assistant(model):
    tokenizer = reader_of(model("llama")).tokenizer
    turns = (
        Message("user", "where is it ?"),
        Message("assistant", "it is late"),
        Message("user", "refund"),
        Message("assistant", "the money"),
    )
    found = Complete(Renderer(tokenizer, length=48, chat=False)).encode([Dialogue(turns, "f", 1)])[0]
    assert tokenizer.decode(found.labels) == "it is late </s> the money </s>"
