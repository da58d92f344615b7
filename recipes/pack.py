"""Put a finished run on board as a starter: weights in bf16, tokenizer and configuration, nothing else. The card beside them is written by hand.

    python recipes/pack.py starter-decoder src/hone/catalogue/starters/decoder

Prints the digest that `hone.catalogue.locate.STARTERS` must name.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from hone.core.store import digest_file

KEPT = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")


def pack(run: Path, starter: Path) -> str:
    """Copy what a loader needs, with half the bytes.

    Returns:
        sha256 of the weights.
    """
    starter.mkdir(parents=True, exist_ok=True)
    for name in KEPT:
        if (run / name).exists():
            shutil.copyfile(run / name, starter / name)
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    (starter / "config.json").write_text(json.dumps(config | {"dtype": "bfloat16"}, indent=2) + "\n", encoding="utf-8")
    weights = {name: tensor.to(torch.bfloat16) for name, tensor in load_file(run / "model.safetensors").items()}
    packed = starter / "model.safetensors"
    save_file(weights, packed, metadata={"format": "pt"})
    packed.chmod(0o644)
    return digest_file(packed)


if __name__ == "__main__":
    print(pack(Path(sys.argv[1]), Path(sys.argv[2])))
