"""What would make a run fit: each way is tried, alone and together with those before it, and told with what it would take."""

from typing import Any, NamedTuple

from hone.train.estimate.dry_run import dry_run
from hone.train.estimate.records import DryRun, MemoryEstimate

__all__ = ["Way", "ways_to_fit"]

_LEAST_TOKENS = 256
_FOUR_BITS = 0.55  # bytes per parameter, with the scales (Dettmers 2023, https://arxiv.org/abs/2305.14314)


class Way(NamedTuple):
    """One change, or several, and the memory that is then needed."""

    change: str
    """As options: '--gradient-checkpointing'."""
    peak: int
    fits: bool
    asked: DryRun | None
    """The run so changed; None where the change is outside of what hone can try."""


def ways_to_fit(config: Any, asked: DryRun, *, limit: int, process: int = 0, has_gpu: bool = False) -> list[Way]:
    """Changes that need less memory, mildest first: shorter passes, recomputed activations, LoRA, its base in 4 bits, offloading.

    Args:
        limit: bytes that may be taken. has_gpu: whether the run is on a GPU, where a base in 4 bits and offloading exist.
    """
    longest = max(row.read + (row.learnt if asked.head == "seq2seq" else 0) for row in asked.rows)
    ways: list[Way] = []
    now, said = asked, ""

    def tried(change: str, **changes: Any) -> MemoryEstimate:
        nonlocal now, said
        now, said = now.model_copy(update=changes), f"{said} {change}".strip()
        found = dry_run(config, now, process=process)
        ways.append(Way(said, found.peak, found.peak <= limit, now))
        return found

    shortest = max(_LEAST_TOKENS, longest)
    if asked.forward_tokens > shortest and sum(row.read for row in asked.rows) > shortest:
        tried(f"--forward-tokens {shortest}", forward_tokens=shortest)
    if not asked.gradient_checkpointing:
        tried("--gradient-checkpointing", gradient_checkpointing=True)
    found = None
    if asked.method == "full":
        found = tried("--method lora", method="lora", options={})
    if not has_gpu:
        return ways
    found = found or dry_run(config, now, process=process)
    frozen = found.parameters - found.trainable_parameters
    if now.method == "lora":
        less = found.peak - found.weights + int(_FOUR_BITS * frozen) + 4 * found.trainable_parameters
        ways.append(Way(f"{said} --load 4bit".strip(), less, less <= limit, None))
    full = dry_run(config, asked, process=process)
    less = full.peak - full.optimiser
    ways.append(
        Way("optimiser states offloaded to main memory (fully_sharded_data_parallel under accelerate)", less, less <= limit, None)
    )
    return ways
