"""What others would say: the textbook's bytes per parameter, and accelerate's own estimate. To be printed beside the dry run's."""

from typing import Any

from hone.model import DryHead, dry_network, without_numbers
from hone.train.estimate.records import DryRun, MemoryEstimate

__all__ = ["accelerate_bytes", "textbook_bytes"]

_FULL = {"fp32": 16, "bf16": 18}  # weights 4, gradients 4, AdamW 8; with bf16 its copy of the weights, 2
_SENT = {"fp32": 68, "bf16": 34}  # bytes for each token, hidden unit and layer; no scores kept


def textbook_bytes(config: Any, asked: DryRun, found: MemoryEstimate) -> int:
    """Bytes per parameter and Korthikanti's activations, for the pass that was tried; without the process.

    Sources: 16 and 18 bytes per parameter of mixed-precision AdamW (Rajbhandari 2020, section 3.1, https://arxiv.org/abs/1910.02054: 2 + 2 + 12;
    with fp32 gradients 18); 34 bytes for each token, hidden unit and layer (Korthikanti 2022, section 4.1, https://arxiv.org/abs/2205.05198).
    """
    moved = found.trainable_parameters
    frozen = (found.parameters - moved) * (2 if asked.precision == "bf16" else 4)
    sent = _SENT[asked.precision] * found.tokens * config.hidden_size * config.num_hidden_layers  # of either side its own tokens
    return int(_FULL[asked.precision] * moved + frozen + sent)


def accelerate_bytes(config: Any, head: DryHead) -> int:
    """What `accelerate estimate-memory` gives for training in fp32: four times the weights, whatever method, batch and length."""
    from accelerate.utils import calculate_maximum_sizes

    with without_numbers():
        total, _ = calculate_maximum_sizes(dry_network(config, head).backbone)
    return 4 * int(total)
