"""A network divided over two processes: it learns what one process learns, and each holds half."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from divided import train

from hone.core.errors import Usage
from hone.train import join_processes
from hone.train.sharded import _in_parts, deal_rows
from tiny_language import save_language_model

CASES = [
    ("llama", "full", ()),
    ("qwen2", "full", ("recomputes",)),  # whose output layer is the embedding
    ("t5", "full", ()),
    ("llama", "lora", ("narrow",)),  # frozen weights in bf16 beside adapters in fp32
    ("llama", "top", ()),  # whose frozen block one process computes once, and two with every row
]


@pytest.fixture(scope="module")
def divided(tmp_path_factory):
    """What two processes wrote of all cases, and what they said."""
    place = tmp_path_factory.mktemp("divided")
    cases = [
        {
            "folder": str(save_language_model(place / f"base-{kind}", kind)),
            "kind": kind,
            "method": method,
            "out": str(place / f"{kind}-{method}"),
            "more": more,
        }
        for kind, method, more in CASES
    ]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    script = Path(__file__).with_name("divided.py")
    folders = os.pathsep.join([str(script.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"GOMP_SPINCOUNT": "1000", "OMP_NUM_THREADS": "1", "PYTHONPATH": folders}
    done = subprocess.run(
        [*launch, str(script), json.dumps(cases)], check=False, capture_output=True, text=True, env=environment, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return place, done.stderr


@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable`:FutureWarning")
@pytest.mark.parametrize(("kind", "method", "more"), CASES)
def test_a_divided_network_learns_the_same_and_each_process_holds_half(kind, method, more, divided):
    place, said = divided
    folder = str(place / f"base-{kind}")
    net, heard = train(folder, kind, method, **dict.fromkeys(more, True))
    found = [json.loads((place / f"{kind}-{method}-{rank}.json").read_text()) for rank in (0, 1)]
    for event, (loss, norm, tokens) in zip(heard, found[0]["heard"], strict=True):
        assert loss == pytest.approx(event.loss, rel=1e-4)
        assert norm == pytest.approx(event.gradient_norm, rel=1e-3)
        assert tokens == event.tokens
    values = torch.load(place / f"{kind}-{method}.pt", weights_only=True)
    assert values.keys() == dict(net.named_parameters()).keys()
    for name, parameter in net.named_parameters():
        assert torch.allclose(values[name].float(), parameter.float(), atol=2e-4), name
    for one in found:
        assert one["is_same"] and not one["kinds"]
        assert [part / whole for part, whole in zip(one["parts"], one["whole"], strict=True)] == [
            pytest.approx(0.5, abs=0.03)
        ] * 2
    assert sum(one["parts"][1] for one in found) == found[0]["whole"][1]
    assert "returned a view" not in said


def test_every_process_computes_as_many_parts():
    """Each pass gathers weights from all, so one process more would wait for ever."""
    parts = [[5, 2, 9], [1], [4]]
    for count in range(1, 6):
        made = _in_parts(parts, count)
        assert len(made) == count and all(made)
        assert sorted(row for part in made for row in part) == [1, 2, 4, 5, 9]


def test_rows_are_dealt_once_and_every_process_gets_one():
    assert [deal_rows([7, 8, 9], rank, 2) for rank in (0, 1)] == [[7, 9], [8]]
    assert [deal_rows([7], rank, 2) for rank in (0, 1)] == [[7], [7]]


def test_one_process_alone_cannot_divide(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(Usage, match="torchrun"):
        join_processes(shard=True)
