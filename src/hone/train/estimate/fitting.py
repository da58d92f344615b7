"""What would make a run fit: each way is tried, alone and together with those before it, and told with what it would take."""

from typing import Any, NamedTuple

from hone.core.errors import Usage
from hone.train.estimate.dry_run import dry_run
from hone.train.estimate.records import DryRun, MemoryEstimate

__all__ = ["Tries", "Way", "ways_to_fit"]

_LEAST_TOKENS = 256


class Tries:
    """Dry runs of one model, each made once however often it is asked for."""

    def __init__(self, config: Any) -> None:
        """`config`: transformers' configuration."""
        self._config = config
        self._found: dict[str, MemoryEstimate] = {}

    def __call__(self, asked: DryRun, *, process: int = 0) -> MemoryEstimate:
        """As `dry_run` has it, with the same errors."""
        said = asked.model_dump_json()
        if said not in self._found:
            self._found[said] = dry_run(self._config, asked)
        return self._found[said].model_copy(update={"process": process})


class Way(NamedTuple):
    """One change, or several, and the memory that is then needed."""

    change: str
    """As options: '--gradient-checkpointing'."""
    peak: int
    fits: bool
    asked: DryRun | None
    """The run so changed; None where the change is outside of what hone can try."""


def ways_to_fit(tries: Tries, asked: DryRun, *, limit: int, process: int = 0, has_gpu: bool = False) -> list[Way]:
    """Changes that need less memory, mildest first: shorter passes, recomputed activations, LoRA, its base in 4 bits, offloading.

    Args:
        tries: of the model that is asked about. limit: bytes that may be taken. has_gpu: whether the run is on a GPU, which has no
            holes and can offload.
    """
    longest = max(row.read + (row.learnt if asked.head == "seq2seq" else 0) for row in asked.rows)
    ways: list[Way] = []
    now, said = asked, ""

    def peak(found: MemoryEstimate) -> int:
        return found.tensors + process if has_gpu else found.peak

    def tried(change: str, **changes: Any) -> None:
        nonlocal now, said
        changed = now.model_copy(update=changes)
        try:
            found = peak(tries(changed, process=process))
        except Usage:  # means nothing on this architecture
            return
        now, said = changed, f"{said} {change}".strip()
        ways.append(Way(said, found, found <= limit, now))

    shortest = max(_LEAST_TOKENS, longest)
    if asked.forward_tokens > shortest and sum(row.read for row in asked.rows) > shortest:
        tried(f"--forward-tokens {shortest}", forward_tokens=shortest)
    if not asked.gradient_checkpointing:
        tried("--gradient-checkpointing", gradient_checkpointing=True)
    if asked.method == "full":
        tried("--method lora", method="lora", options={})
    if now.method == "lora" and now.held == "plain" and now.has_words:
        tried("--load 4bit", held="4bit")
    if has_gpu:
        full = tries(asked, process=process)
        less = peak(full) - full.optimiser
        change = "optimiser states offloaded to main memory (fully_sharded_data_parallel under accelerate)"
        ways.append(Way(change, less, less <= limit, None))
    return ways
