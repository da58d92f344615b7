"""The dial of a finished run: the same run folder with less of what was learnt, from its files alone.

Whole models are interpolated towards their base, what LoRA, bottleneck adapters and IA3 insert is scaled. 0 is the base to the bit, 1 the
run as it was written. The one surprise: a base is loaded as a network where its file names weights otherwise than the run's, as many on the
Hub do (openai-community/gpt2: h.0.attn..., not transformer.h.0.attn...).
"""

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hone.catalogue import ModelFolder
from hone.core.errors import BadModel, Usage
from hone.core.store import read_lines, replace_folder, write_atomic, write_lines
from hone.evaluate.retained_find import ANSWERS
from hone.model import Head, family, load_backbone, load_language_model, read_config
from hone.tune.card import write_card
from hone.tune.finished import base_of_run, read_run
from hone.tune.records import TuneRecord

if TYPE_CHECKING:
    import torch

__all__ = ["at_dial", "turn_dial"]

_KEPT = "dials"
_VIRTUAL = ("prompt", "prefix")
_OF_ALL = ("README.md", ANSWERS, "test_answers.jsonl")  # these speak of the run as it was trained
_ADAPTER, _TRAINED, _WHOLE = "adapter_model.safetensors", "trained.safetensors", "model.safetensors"


def turn_dial(run: Path, position: float, out: Path) -> None:
    """Write the run in `run` anew into `out`, with its dial at a position between 0 and 1.

    Raises:
        Usage: the position is outside, `out` is there already, or the method has no dial.
        BadModel: `run` is no run of `hone tune`, or its base is not found as it was.
    """
    if not 0 <= position <= 1:
        raise Usage(f"The dial stands between 0 (the base) and 1 (the run as it is), not at {position:g}.")
    if out.exists() and any(out.iterdir()):
        raise Usage(f"{out} is not empty. Name another folder with --out.")
    done = read_run(run)
    method, settings = done.settings.method, done.settings
    if method in _VIRTUAL:
        raise Usage(f"'{method}' trains virtual tokens, which are read or not read: it has no dial.")
    if settings.dora:
        raise Usage(
            "DoRA scales the base's own columns, which its file does not hold: it has no dial here. Merge it, or train plain LoRA."
        )
    file = next((name for name in (_ADAPTER, _TRAINED, _WHOLE) if (run / name).is_file()), None)
    if file is None:
        raise BadModel(f"{run} holds none of {_ADAPTER}, {_TRAINED} and {_WHOLE}: a model in several files has no dial here.")
    base = None if file == _ADAPTER or method == "adapter" else base_of_run(done)
    with replace_folder(out) as place:
        for path in run.iterdir():
            if path.is_file() and path.name not in (file, *_OF_ALL):
                shutil.copyfile(path, place / path.name)
        _turn(run / file, place / file, position, base, done.objective)
        if (run / ANSWERS).is_file():  # its questions may be asked again, its answers are not those of what stands here
            rows = read_lines(run / ANSWERS)
            write_lines(place / ANSWERS, ({name: row[name] for name in row if name != "tuned"} for row in rows))
        turned = _record_at(done, position)
        write_atomic(place / "hone.json", turned.to_json())
        with contextlib.suppress(BadModel):  # the card names the base, which need not be here
            write_atomic(place / "README.md", write_card(turned, base or base_of_run(done)))


def at_dial(run: Path, position: float) -> Path:
    """The folder of a run whose dial stands at a position, written below the run the first time it is asked for: for serving.

    Raises:
        Usage, BadModel: as `turn_dial` does.
    """
    out = run / _KEPT / f"{position:g}"
    if out.exists():
        if read_run(out) == _record_at(read_run(run), position):
            return out
        shutil.rmtree(out)  # of another run that stood here
    turn_dial(run, position, out)
    return out


def _record_at(done: TuneRecord, position: float) -> TuneRecord:
    return done.model_copy(update={"dial": position * (1.0 if done.dial is None else done.dial)})


def _turn(source: Path, target: Path, position: float, base: ModelFolder | None, objective: str) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(source)
    origin = {} if base is None else _weights(base.path)
    if base is not None and any(_start_of(name, origin) is None for name in tensors if not _is_of_head(name)):
        origin = _weights_as_saved(base, objective)
    turned = {name: _turned(name, value, position, origin) for name, value in tensors.items()}
    save_file(turned, target, metadata={"format": "pt"})


def _weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return {name: value for shard in sorted(folder.glob("*.safetensors")) for name, value in load_file(shard).items()}


def _weights_as_saved(base: ModelFolder, objective: str) -> dict[str, Any]:
    """The base's weights by the names of the network that trained, and by those that transformers gives them when it writes them."""
    net: Any
    if objective in ("completion", "causal", "masked", "span"):
        heads: dict[str, Head] = {"decoder": "causal", "encoder": "masked", "encoder-decoder": "seq2seq"}
        net = load_language_model(base, heads[family(read_config(base))], pad_id=0).base
    else:
        net = load_backbone(base)
    with tempfile.TemporaryDirectory() as place:
        net.save_pretrained(place)
        found: dict[str, Any] = {**net.state_dict(), **_weights(Path(place))}
    return found


def _start_of(name: str, origin: dict[str, Any]) -> Any:
    return origin.get(name.removeprefix("backbone."), origin.get(name))


def _is_of_head(name: str) -> bool:
    """Of a new head, which has no base."""
    return name.startswith("classifier.")


def _turned(name: str, value: "torch.Tensor", position: float, origin: dict[str, Any]) -> "torch.Tensor":
    """One tensor of the file. Of an adapter only what stands last is scaled, for the dial would else count twice."""
    import torch

    if ".lora_A." in name or ".lora_embedding_A" in name or ".adapter.down." in name or _is_of_head(name):
        return value
    if ".lora_B." in name or ".lora_embedding_B" in name or ".adapter.up." in name:
        return value * position
    if "ia3_l" in name:
        return torch.lerp(torch.ones_like(value), value, position)
    start = _start_of(name, origin)
    if start is None or start.shape != value.shape:
        raise BadModel(f"The base holds no '{name}' like the run's, so there is nothing to turn back to.")
    start = start.to(value.dtype)
    return start if position == 0 else value if position == 1 else torch.lerp(start, value, position)
