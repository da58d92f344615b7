"""Run by torchrun, two processes: train a tiny encoder with dropout that is held to its own vectors, and write how far the two are apart."""

import json
import sys
from pathlib import Path

import torch

from hone.catalogue import locate_model
from hone.model import load_classifier, load_reader
from hone.task import Example
from hone.train import Classify, OwnVectors, SingleTask, TrainPlan, fit, join_processes, trained_parameters
from tiny import SENTENCES


def main(folder, out):
    processes = join_processes()
    base = locate_model(folder)
    reader = load_reader(base, precision="fp32")
    torch.manual_seed(0)
    net = load_classifier(base, ("a", "b"))
    objective = Classify(("a", "b"), reader)
    rows = [Example(f"{text} {'and lost ' * (n % 3)}", "ab"[n % 2], "rows", n) for n, text in enumerate(SENTENCES * 2)]
    encoded, heard = objective.encode(rows), []
    plan = TrainPlan(learning_rate=1e-2, head_learning_rate=1e-2, steps=8, batch_rows=7, evaluations=0)
    fit(
        net,
        encoded,
        plan=plan,
        objective=objective,
        mixture=SingleTask(len(encoded)),
        regulariser=OwnVectors([item.ids for item in encoded], reader, rows=2, strength=1.0),
        listener=heard.append,
        processes=processes,
    )
    mine = torch.cat([parameter.detach().flatten() for parameter in trained_parameters(net).values()])
    both = [torch.empty_like(mine) for _ in range(2)]
    torch.distributed.all_gather(both, mine)
    if processes.is_first:
        told = {"apart": float((both[0] - both[1]).abs().max()), "penalties": [event.penalty for event in heard]}
        Path(out).write_text(json.dumps(told))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
