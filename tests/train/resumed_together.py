"""Run by torchrun, two processes: a run with dropout in peace, the same stopped after some steps and gone on with; write how far they end apart."""

import contextlib
import json
import sys
from pathlib import Path

import torch

from hone.catalogue import locate_model
from hone.model import load_classifier, load_reader
from hone.task import Example
from hone.train import Classify, SingleTask, TrainPlan, fit, join_processes, trained_parameters
from tiny import SENTENCES


class Stopped(Exception):
    """What a kill is to the loop: nothing comes after it."""


def main(folder, out):
    processes = join_processes()
    base = locate_model(folder)
    reader = load_reader(base, precision="fp32")
    rows = [Example(f"{text} {'and lost ' * (n % 3)}", "ab"[n % 2], "rows", n) for n, text in enumerate(SENTENCES * 2)]
    plan = TrainPlan(learning_rate=1e-2, head_learning_rate=1e-2, steps=8, batch_rows=7, evaluations=0, checkpoint_seconds=0.0)

    def train(place, *, until=plan.steps):
        """The parameters at the end, and the losses on the way."""
        torch.manual_seed(0)
        net, losses = load_classifier(base, ("a", "b")), []
        objective = Classify(("a", "b"), reader)
        encoded = objective.encode(rows)

        def hear(event):
            losses.append(event.loss)
            if event.step > until:
                raise Stopped

        options = {"plan": plan, "objective": objective, "mixture": SingleTask(len(encoded)), "processes": processes}
        with contextlib.suppress(Stopped):
            fit(net, encoded, listener=hear, checkpoint=Path(out).with_name(place), **options)
        processes.wait()
        return torch.cat([parameter.detach().flatten() for parameter in trained_parameters(net).values()]), losses

    whole, losses = train("whole")
    train("cut", until=4)
    resumed, later = train("cut")
    if processes.is_first:
        told = {"apart": float((whole - resumed).abs().max()), "losses": losses, "later": later}
        Path(out).write_text(json.dumps(told))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
