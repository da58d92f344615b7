"""Run by torchrun, two processes: train a tiny model divided over them, and write what was seen of it."""

import json
import sys
from pathlib import Path

import torch

from hone.catalogue import locate_model
from hone.model import Renderer, load_language_model, load_reader
from hone.task import Completion
from hone.train import Complete, SingleTask, TrainPlan, WriteTarget, fit, join_processes, make_trainable, trained_parameters
from hone.train.sharded import Sharded

__all__ = ["train"]


def train(folder, kind, method, processes=None, **settings):
    """A network after a few steps, and what a listener heard of them."""
    base = locate_model(folder)
    reader = load_reader(base, precision="fp32")
    torch.manual_seed(0)
    net = load_language_model(base, "seq2seq" if kind == "t5" else "causal", pad_id=reader.pad_id)
    net = make_trainable(method, **({"count": 1} if method == "top" else {})).prepare(net)
    if "narrow" in settings:
        net.narrow_frozen()
    rows = [Completion(f"my parcel is late {'and lost ' * (n % 7)}{n}", "please refund", "rows", n) for n in range(40)]
    if kind == "t5":
        objective = WriteTarget(reader, template="{prompt}")
    else:
        objective = Complete(Renderer(reader.tokenizer, length=48, template="{prompt}\n", chat=False, trains_all=False))
    encoded, heard = objective.encode(rows), []
    plan = TrainPlan(
        learning_rate=1e-2,
        head_learning_rate=1e-2,
        steps=5,
        batch_rows=9,
        forward_tokens=40,
        evaluations=0,
        gradient_checkpointing=settings.get("recomputes", False),
    )
    fit(
        net,
        encoded,
        plan=plan,
        objective=objective,
        mixture=SingleTask(len(encoded)),
        listener=heard.append,
        processes=processes,
    )
    return net, heard


def held(net):
    """Numbers that this process holds of the parameters, and of the optimiser's moments after a step."""
    from hone.train.optimiser import make_optimiser
    from hone.train.sharded import local_part

    optimiser = make_optimiser(net, TrainPlan(learning_rate=0.0, head_learning_rate=0.0, steps=1))
    for parameter in trained_parameters(net).values():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    moments = sum(
        local_part(value).numel() for state in optimiser.state.values() for name, value in state.items() if name != "step"
    )
    storage = {local_part(one).untyped_storage().data_ptr(): local_part(one) for one in net.parameters()}
    return sum(one.untyped_storage().nbytes() for one in storage.values()), moments


def look(processes, folder, kind, method, out, more):
    """Train divided, then divide once more and count."""
    net, heard = train(folder, kind, method, processes, **dict.fromkeys(more, True))
    kinds = {type(module).__name__ for module in net.modules()} | {type(one).__name__ for one in net.parameters()}
    whole = (
        sum(one.numel() * one.element_size() for one in net.parameters()),
        2 * sum(one.numel() for one in trained_parameters(net).values()),
    )
    values = {name: one.detach().clone() for name, one in net.named_parameters()}
    processes.shard(net)
    parts = held(net)
    processes.gather(net)
    found = {
        "heard": [(event.loss, event.gradient_norm, event.tokens) for event in heard],
        "whole": whole,
        "parts": parts,
        "is_same": all(torch.equal(values[name], one) for name, one in net.named_parameters()),
        "kinds": sorted(kind for kind in kinds if "FSDP" in kind or kind == "DTensor"),
    }
    if processes.is_first:
        torch.save(values, f"{out}.pt")
    Path(f"{out}-{processes.part.rank}.json").write_text(json.dumps(found))


def main(cases):
    """All cases in one start: the libraries take longer to load than the networks to train."""
    processes = join_processes(shard=True)
    assert isinstance(processes, Sharded)
    for case in json.loads(cases):
        look(processes, **case)


if __name__ == "__main__":
    main(sys.argv[1])
