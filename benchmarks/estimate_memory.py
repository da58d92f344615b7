"""One side of `benchmarks/estimate.py` in a process of its own: what a run is estimated to take, or what it takes.

    python benchmarks/estimate_memory.py estimate|measure SHAPE METHOD ROWS READ LEARNT

prints one JSON object. METHOD is full, lora or qlora. The networks are random; the words of a row are drawn from 3,000, of which an encoder's
table trains only those.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from typing import Any, cast

from hone.core.allocator import preload_allocator
from hone.core.device import best_device, keep_freed_memory, peak_memory, release_memory

__all__ = ["SHAPES", "WORDS", "configuration"]

SHAPES = {"decoder": "causal", "encoder-decoder": "seq2seq", "starter encoder": "pooled"}
WORDS = 3_000
_STEPS = 4


def configuration(shape: str) -> Any:
    """transformers' configuration of a shape: Llama's, T5 1.1's, and that of the starter."""
    from transformers import LlamaConfig, T5Config

    from hone.catalogue import locate_model
    from hone.model import read_config

    if shape == "decoder":
        return LlamaConfig(
            vocab_size=8192,
            hidden_size=384,
            intermediate_size=1024,
            num_hidden_layers=8,
            num_attention_heads=6,
            num_key_value_heads=6,
            tie_word_embeddings=True,
        )
    if shape == "encoder-decoder":
        return T5Config(
            vocab_size=8192,
            d_model=384,
            d_kv=64,
            d_ff=1024,
            num_layers=4,
            num_heads=6,
            dropout_rate=0.0,
            feed_forward_proj="gated-gelu",
            tie_word_embeddings=True,
            decoder_start_token_id=0,
        )
    return read_config(locate_model("starter/encoder"))


def main() -> int:
    """Estimate or measure, and print."""
    preload_allocator()  # as the hone command does
    what, shape, method = sys.argv[1:4]
    if what == "write":
        write(shape, method)
        return 0
    rows, read, learnt = map(int, sys.argv[4:])
    found = {"estimate": estimate, "measure": measure}[what](shape, method, rows, read, learnt)
    print(json.dumps(found))
    return 0


def estimate(shape: str, method: str, rows: int, read: int, learnt: int) -> dict[str, Any]:
    """By a dry run, by the textbook and by accelerate."""
    from hone.model import resolve_precision
    from hone.train.estimate import DryRun, RowLength, accelerate_bytes, dry_run, process_bytes, textbook_bytes

    process, config = process_bytes(), configuration(shape)
    asked = DryRun(
        head=SHAPES[shape],
        rows=(RowLength(read, learnt),) * rows,
        method="lora" if method == "qlora" else method,
        held="4bit" if method == "qlora" else "plain",
        precision=resolve_precision("auto", best_device()),
        words=WORDS if shape == "starter encoder" and method == "full" else None,
    )
    started = time.perf_counter(), time.process_time()
    found = dry_run(config, asked, process=process)
    seconds, processor = time.perf_counter() - started[0], time.process_time() - started[1]
    return {
        "estimate_bytes": found.peak,
        "seconds": seconds,
        "processor_seconds": processor,
        "textbook_bytes": textbook_bytes(config, asked, found),
        "accelerate_bytes": accelerate_bytes(config, SHAPES[shape]),
        "process_bytes": process,
        **found.model_dump(),
    }


def measure(shape: str, method: str, rows: int, read: int, learnt: int) -> dict[str, Any]:
    """Train some steps, and read the kernel's own peak counter."""
    import torch

    from hone.model import random_network, resolve_precision
    from hone.train import SingleTask, TrainPlan, fit, make_trainable
    from hone.train.estimate import RowLength, bare_objective, items_of_lengths

    keep_freed_memory()
    torch.manual_seed(0)
    rng = random.Random(0)
    head: Any = SHAPES[shape]
    if method == "qlora":
        net = make_trainable("lora").prepare(_in_four_bits(shape, head))
    else:
        net = make_trainable(method).prepare(random_network(configuration(shape), head))
    precision = resolve_precision("auto", best_device())
    if precision == "bf16":
        net.narrow_frozen()
    items = items_of_lengths(head, [RowLength(read, learnt)] * rows)
    for item in items:
        for ids in (getattr(item, name) for name in ("ids", "source", "target") if isinstance(getattr(item, name, None), list)):
            ids[:] = [rng.randrange(WORDS) for _ in ids]
    plan = TrainPlan(
        learning_rate=1e-4,
        head_learning_rate=1e-3,
        steps=_STEPS,
        batch_rows=rows,
        forward_tokens=2048,
        evaluations=0,
        precision=precision,
    )
    release_memory()
    with peak_memory(torch.device("cpu")) as peak:
        fit(net, items, plan=plan, objective=bare_objective(head, 2), mixture=SingleTask(rows))
    return {"measured_bytes": peak.bytes}


def _in_four_bits(shape: str, head: Any) -> Any:
    """The same random network as a folder's weights, which another process wrote, are loaded."""
    from hone.catalogue import locate_model
    from hone.model import load_language_model

    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, __file__, "write", shape, folder], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        return load_language_model(locate_model(folder), head, pad_id=0, held="4bit")


def write(shape: str, folder: str) -> None:
    """A random network's weights and configuration."""
    from hone.model import random_network

    random_network(configuration(shape), cast(Any, SHAPES[shape])).base.save_pretrained(folder)


if __name__ == "__main__":
    sys.exit(main())
