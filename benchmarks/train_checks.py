"""That `benchmarks/train.py` compares like with like: equal losses step by step, and the gradients of plain transformers."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hone.model import quiet_transformers
from train_ours import Ours
from train_parts import Part, Prepared
from train_peers import Peer, Setting, has_trl

__all__ = ["compare_gradients", "compare_losses"]

FIRST_LOSS = 0.01
"""Largest difference of the first losses, relative: the same weights and the same batch, fp32."""
CURVE = 0.02
"""Largest difference of any later loss, relative: rounding grows from step to step."""
GRADIENT = 1e-5
"""Largest norm of the difference over the norm of the gradient, per parameter."""

Row = dict[str, Any]


def compare_losses(part: Part, models: Path, prepared: Prepared, *, steps: int, precision: str) -> Row:
    """Train ours and the peer on identical batches in one order, from identical weights, and compare the loss of each step."""
    items = sorted(prepared.items, key=lambda item: item.length)[: steps * part.batch_rows]
    items = [items[at] for at in torch.randperm(len(items), generator=torch.Generator().manual_seed(0)).tolist()]
    is_trl = part.head == "causal" and has_trl()
    options = {"bf16": precision == "bf16", "gradient_checkpointing": False}
    ours = Ours(part, models, prepared, precision=precision)  # type: ignore[arg-type]
    net = ours.network()
    initial = None
    if part.trainable == "lora":  # its A is drawn by chance
        initial = {name: value.clone() for name, value in net.backbone.state_dict().items() if ".lora_" in name}
    our_losses = ours.train(items, in_order=True, net=net).losses
    peer = Peer(part, models, prepared, Setting(f"{'TRL' if is_trl else 'Trainer'} {precision}", is_trl, options))
    their_losses = peer.train(items, in_order=True, initial=initial).losses
    assert len(our_losses) == len(their_losses) == steps, (len(our_losses), len(their_losses))
    apart = [abs(mine / other - 1) for mine, other in zip(our_losses, their_losses, strict=True)]
    return {
        "part": "losses",
        "name": part.name,
        "peer": peer.name,
        "precision": precision,
        "ours": our_losses,
        "theirs": their_losses,
        "first_apart": apart[0],
        "most_apart": max(apart),
        "tolerance": [FIRST_LOSS, CURVE],
        "is_same": apart[0] <= FIRST_LOSS and max(apart) <= CURVE,
    }


def compare_gradients(part: Part, models: Path, prepared: Prepared, *, rows: int = 4) -> Row:
    """The gradient of one batch through hone against transformers' own forward pass, row by row, attention written out; fp32."""
    shortest = sorted(prepared.items, key=lambda item: item.length)
    items = shortest[:: max(1, len(shortest) // (4 * rows))][:rows]  # of different lengths, none of the longest
    net = Ours(part, models, prepared, precision="fp32").network()
    if part.trainable == "lora":
        _move_lora(net)
    plain = _plain_network(part, models, net)
    loss, count = prepared.objective.loss(net, prepared.objective.collate(items))
    (loss / count).backward()
    terms = sum(len(item.target if part.head == "seq2seq" else item.labels) for item in items)
    their_loss = 0.0
    for item in items:
        part_loss = _plain_loss(part, plain, item)
        (part_loss / terms).backward()
        their_loss += part_loss.item()
    mine, other = _gradients(net.backbone), dict(_named_gradients(plain))
    apart = {
        name: float((mine[name].double() - gradient.double()).norm() / gradient.double().norm().clamp(min=1e-12))
        for name, gradient in other.items()
        if name in mine
    }
    return {
        "part": "gradients",
        "name": part.name,
        "parameters_compared": len(apart),
        "ours_loss": loss.item() / count,
        "theirs_loss": their_loss / terms,
        "most_apart": max(apart.values()),
        "where": max(apart, key=lambda name: apart[name]),
        "tolerance": GRADIENT,
        "is_same": mine.keys() == other.keys() and count == terms and max(apart.values()) <= GRADIENT,
    }


def _move_lora(net: nn.Module) -> None:
    """Away from B = 0, where A has no gradient."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if ".lora_B." in name:
                parameter.copy_(0.02 * torch.randn(parameter.shape, generator=generator))


def _plain_network(part: Part, models: Path, net: Any) -> Any:
    """The part's model as transformers and peft load it, with the same adapter where there is one."""
    import transformers

    kind = transformers.AutoModelForSeq2SeqLM if part.head == "seq2seq" else transformers.AutoModelForCausalLM
    with quiet_transformers():
        plain: Any = kind.from_pretrained(models / part.model, dtype=torch.float32, attn_implementation="eager")
    if part.trainable == "lora":
        from peft import LoraConfig, get_peft_model

        config = LoraConfig(task_type="CAUSAL_LM", r=8, lora_alpha=16, lora_dropout=0.0, target_modules="all-linear")
        with quiet_transformers():
            plain = get_peft_model(plain, config)
        adapter: Mapping[str, torch.Tensor] = {
            name: value for name, value in net.backbone.state_dict().items() if ".lora_" in name
        }
        assert not plain.load_state_dict(adapter, strict=False).unexpected_keys
    return plain


def _plain_loss(part: Part, plain: Any, item: Any) -> torch.Tensor:
    """Summed cross-entropy of one row, from transformers' logits."""
    if part.head == "seq2seq":
        labels = torch.tensor([item.target])
        logits = plain(input_ids=torch.tensor([item.source]), labels=labels).logits[0]
        return nn.functional.cross_entropy(logits, labels[0], reduction="sum")
    logits = plain(input_ids=torch.tensor([item.ids])).logits[0]
    return nn.functional.cross_entropy(logits[item.places], torch.tensor(item.labels), reduction="sum")


def _named_gradients(net: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    for name, parameter in net.named_parameters():
        if parameter.grad is not None:
            yield name, parameter.grad


def _gradients(backbone: nn.Module) -> dict[str, torch.Tensor]:
    return dict(_named_gradients(backbone))
