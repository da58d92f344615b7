"""Losses and gradients equal a plain restatement, however a batch is padded or divided."""

import math
import time
import tracemalloc

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from hone.core.errors import BadData
from hone.model import load_backbone, load_classifier, load_reader
from hone.task import Example
from hone.train import Classify, Contrast, SingleTask, TrainPlan, fit
from tiny import LABELS, SENTENCES

CPU = torch.device("cpu")


def without_dropout(net):
    for module in net.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    for name in ("attention_probs_dropout_prob", "attention_dropout", "dropout"):  # read by the functional attention
        for module in net.modules():
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
    return net


def classifier(folder):
    torch.manual_seed(0)
    return without_dropout(load_classifier(folder, LABELS))


def gradients(net):
    return {name: parameter.grad.clone() for name, parameter in net.named_parameters() if parameter.grad is not None}


def assert_same(ours, theirs, *, atol=1e-6):
    assert ours.keys() == theirs.keys()
    for name, gradient in ours.items():
        torch.testing.assert_close(gradient, theirs[name], atol=atol, rtol=1e-4, msg=lambda said, name=name: f"{name}: {said}")


def their_loss(path, head, examples):
    """Cross-entropy on pooled vectors, written with transformers and torch alone; returns loss and gradients by our names."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path)
    backbone = AutoModel.from_pretrained(path, dtype="float32").eval()
    linear = torch.nn.Linear(head.in_features, head.out_features)
    linear.load_state_dict(head.state_dict())
    batch = tokenizer([example.text for example in examples], padding=True, return_tensors="pt")
    hidden = backbone(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
    rows = [hidden[index, : int(mask.sum())].mean(dim=0) for index, mask in enumerate(batch["attention_mask"])]
    vectors = torch.stack([row / row.norm() for row in rows]) * math.sqrt(head.in_features) / 2
    targets = torch.tensor([LABELS.index(example.label) for example in examples])
    loss = torch.nn.functional.cross_entropy(linear(vectors), targets, reduction="sum")
    loss.backward()
    found = {f"backbone.{name}": value for name, value in gradients(backbone).items()}
    return loss.item(), found | {f"classifier.{name}": value for name, value in gradients(linear).items()}


def test_the_classification_loss_and_its_gradient_equal_plain_transformers(family, located, examples):
    folder = located(family)
    net = classifier(folder).eval()
    objective = Classify(LABELS, load_reader(folder, precision="fp32", device=CPU))
    loss, count = objective.loss(net, objective.encode(examples))
    loss.backward()
    expected, their_gradients = their_loss(folder.path, net.classifier, examples)
    assert count == len(examples) and loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    ours = gradients(net)
    assert_same(ours, {name: value for name, value in their_gradients.items() if ".pooler." not in name}, atol=1e-5)


def test_an_untrained_head_loses_about_the_logarithm_of_the_classes(located, reader, examples):
    objective = Classify(LABELS, reader)
    loss, count = objective.loss(classifier(located()), objective.encode(examples))
    assert loss.item() / count == pytest.approx(math.log(3), rel=0.1)


def test_a_batch_is_the_sum_of_its_rows_whatever_the_padding(family, located, examples):
    folder = located(family)
    net = classifier(folder)
    objective = Classify(LABELS, load_reader(folder, precision="fp32", device=CPU))
    rows = objective.encode([*examples, Example("?", "late", "x", 1), Example("late " * 25, "lost", "x", 2)])
    together, count = objective.loss(net, rows)
    together.backward()
    whole = gradients(net)
    net.zero_grad()
    parts = [objective.loss(net, [row]) for row in rows]
    sum(loss for loss, _ in parts).backward()
    assert sum(loss.item() for loss, _ in parts) == pytest.approx(together.item(), rel=1e-6)
    assert sum(terms for _, terms in parts) == count == len(rows)
    assert_same(whole, gradients(net), atol=1e-5)


def step_gradients(folder, objective, rows, *, forward_tokens, clip=1e9):
    """What reaches the optimiser in the first step of the loop."""
    net, caught = classifier(folder), {}

    def catch(_optimiser, _arguments, _named):
        caught.update(gradients(net))

    plan = TrainPlan(
        learning_rate=1e-3,
        head_learning_rate=1e-3,
        steps=1,
        batch_rows=len(rows),
        forward_tokens=forward_tokens,
        clip=clip,
        evaluations=0,
    )
    handle = register_optimizer_step_pre_hook(catch)
    try:
        record = fit(net, rows, plan=plan, objective=objective, mixture=SingleTask(len(rows)))
    finally:
        handle.remove()
    return net, caught, record


@pytest.mark.parametrize("forward_tokens", [1, 40, 100])
def test_a_divided_batch_gives_the_step_of_the_undivided_one(family, located, examples, forward_tokens):
    """Parts of unequal size: a mean per part would give another gradient."""
    folder = located(family)
    objective = Classify(LABELS, load_reader(folder, precision="fp32", device=CPU))
    rows = objective.encode([*examples, Example("late " * 25, "lost", "x", 2)])
    plain, passes = objective.loss, []
    objective.loss = lambda net, batch: passes.append([row.length for row in batch]) or plain(net, batch)
    net, whole, one = step_gradients(folder, objective, rows, forward_tokens=100_000)
    assert [len(lengths) for lengths in passes] == [len(rows)]
    passes.clear()
    _, parts, divided = step_gradients(folder, objective, rows, forward_tokens=forward_tokens)
    assert_same(parts, whole)
    assert one.tokens_seen == divided.tokens_seen == sum(row.length for row in rows)
    assert len(passes) > 1 and len({len(lengths) for lengths in passes}) > (forward_tokens > 1)
    if net.packs:
        assert all(sum(lengths) <= forward_tokens or len(lengths) == 1 for lengths in passes)
        assert one.padding == divided.padding == 0
    else:
        assert all(len(lengths) * max(lengths) <= forward_tokens or len(lengths) == 1 for lengths in passes)
        assert one.padding > divided.padding and (forward_tokens > 1 or divided.padding == 0)


def test_all_but_deberta_are_read_without_padding(family, located):
    assert classifier(located(family)).packs == (family != "deberta-v2")


@pytest.mark.parametrize("how", ["mean", "cls"])
def test_packed_and_padded_answers_agree(family, located, how):
    folder = located(family)
    net = classifier(folder).eval()
    net.pooling = how
    rows = load_reader(folder, precision="fp32", device=CPU).tokenize([*SENTENCES, "?", "late " * 25])
    with torch.no_grad():
        first = net(rows)
        net.start = None
        torch.testing.assert_close(net(rows), first, atol=1e-5, rtol=1e-4)
    assert first.std() > 0.01


def test_the_step_is_that_of_the_mean_over_the_batch(located, reader, examples):
    objective = Classify(LABELS, reader)
    rows = objective.encode(examples)
    _, stepped, _ = step_gradients(located(), objective, rows, forward_tokens=50)
    net = classifier(located())
    (objective.loss(net, rows)[0] / len(rows)).backward()
    assert_same(stepped, gradients(net))


def test_the_gradient_is_clipped_after_it_was_divided(located, reader, examples):
    objective = Classify(LABELS, reader)
    rows = objective.encode(examples)
    _, free, _ = step_gradients(located(), objective, rows, forward_tokens=50)
    norm = torch.stack([gradient.norm() for gradient in free.values()]).norm()
    _, clipped, _ = step_gradients(located(), objective, rows, forward_tokens=50, clip=float(norm) / 4)
    assert_same(clipped, {name: gradient / 4 for name, gradient in free.items()}, atol=1e-5)


def test_an_unknown_label_is_no_class(reader):
    with pytest.raises(BadData, match="f line 1: label 'no such label' is none of those that the training data has"):
        Classify(LABELS, reader).encode([Example("x", "no such label", "f", 1)])


def khosla(vectors, targets, temperature):
    """Eq. 2 of https://arxiv.org/abs/2004.11362, term by term: I all rows, A(i) all others, P(i) others of the same class."""
    total = 0.0
    for i in range(len(vectors)):
        others = [a for a in range(len(vectors)) if a != i]
        positives = [p for p in others if targets[p] == targets[i]]
        below = sum(math.exp(sum(x * y for x, y in zip(vectors[i], vectors[a], strict=True)) / temperature) for a in others)
        for p in positives:
            above = math.exp(sum(x * y for x, y in zip(vectors[i], vectors[p], strict=True)) / temperature)
            total += -math.log(above / below) / len(positives)
    return total


def backbone(folder):
    return without_dropout(load_backbone(folder))


@pytest.mark.parametrize("temperature", [0.1, 0.5])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_the_contrastive_loss_equals_khoslas_equation_2(located, reader, temperature, pooling):
    """With two rows a class each row's partner is the other one, so the batch is known; 20 rows make several parts."""
    from hone.model import pool

    rows = [Example(text, f"class {index // 2}", "f", index) for index, text in enumerate(SENTENCES[:10])]
    objective = Contrast([f"class {index}" for index in range(5)], reader, pooling=pooling, temperature=temperature)
    encoded = objective.encode(rows)
    net = backbone(located())
    loss, count = objective.loss(net, objective.collate(encoded))
    doubled = [*encoded, *encoded]
    with torch.no_grad():
        ids, mask = reader.pad([row.ids for row in doubled])
        vectors = pool(net, ids, mask, how=pooling).double().tolist()
    assert count == 20
    assert loss.item() == pytest.approx(khosla(vectors, [row.target for row in doubled], temperature), rel=1e-5)


def test_a_class_with_one_row_is_its_own_partner_and_its_loss_is_finite(located, reader):
    rows = [Example(SENTENCES[0], "late", "f", 1), Example(SENTENCES[1], "lost", "f", 2), Example(SENTENCES[2], "lost", "f", 3)]
    objective = Contrast(LABELS, reader, pooling="mean")
    net = backbone(located())
    loss, count = objective.loss(net, objective.collate(objective.encode(rows)))
    loss.backward()
    assert count == 6 and math.isfinite(loss.item())
    assert all(torch.isfinite(gradient).all() for gradient in gradients(net).values())


def test_a_batch_of_one_class_only_has_a_finite_loss(located, reader):
    objective = Contrast(LABELS, reader, pooling="mean")
    encoded = objective.encode([Example(text, "late", "f", 1) for text in SENTENCES])
    loss, _ = objective.loss(backbone(located()), objective.collate(encoded))
    assert math.isfinite(loss.item())


def test_a_row_is_never_its_own_partner_where_its_class_has_others(reader):
    objective = Contrast(LABELS, reader, pooling="mean")
    encoded = objective.encode([Example(text, "late", "f", 1) for text in SENTENCES[:3]])
    torch.manual_seed(0)
    for item in encoded:
        others = [[row for row in objective.collate([item]) if row is not item] for _ in range(60)]
        assert all(len(partners) == 1 for partners in others) and len({id(partners[0]) for partners in others}) == 2


def test_pairs_of_5000_rows_are_drawn_and_not_listed(located, reader):
    rows = [Example(f"{SENTENCES[index % 12]} {index}", LABELS[index % 3], "f", index) for index in range(5000)]
    objective = Contrast(LABELS, reader, pooling="mean")
    encoded = objective.encode(rows)
    net = backbone(located())
    objective.loss(net, objective.collate(encoded[:8]))
    started = time.perf_counter()
    tracemalloc.start()
    _, count = objective.loss(net, objective.collate(encoded[:8]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 16 and peak < 1_000_000 and time.perf_counter() - started < 5


def test_a_contrastive_batch_is_never_divided(located, reader, examples):
    """A part would be held against fewer rows than the batch has."""
    objective = Contrast(LABELS, reader, pooling="mean")
    encoded, sizes = objective.encode(examples), []
    plain = objective.loss
    objective.loss = lambda net, batch: sizes.append(len(batch)) or plain(net, batch)
    plan = TrainPlan(learning_rate=1e-4, head_learning_rate=1e-4, steps=2, batch_rows=6, forward_tokens=1, evaluations=0)
    fit(load_backbone(located()), encoded, plan=plan, objective=objective, mixture=SingleTask(len(encoded)))
    assert sizes == [12, 12]  # each row with its partner


def test_contrastive_steps_bring_a_class_together(located, reader, examples):
    net = load_backbone(located())
    objective = Contrast(LABELS, reader, pooling="mean")
    encoded = objective.encode(examples)
    torch.manual_seed(0)
    before = objective.loss(net.eval(), objective.collate(encoded))[0].item()
    plan = TrainPlan(learning_rate=3e-3, head_learning_rate=3e-3, steps=30, batch_rows=12, evaluations=0)
    fit(net, encoded, plan=plan, objective=objective, mixture=SingleTask(len(encoded)))
    torch.manual_seed(0)
    assert objective.loss(net.eval(), objective.collate(encoded))[0].item() < before - 10
