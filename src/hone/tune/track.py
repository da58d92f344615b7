"""Where the log of a run goes: `log.jsonl` always; TensorBoard, trackio, mlflow and wandb where they are asked for and installed."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

from hone.core.errors import Usage, did_you_mean, need
from hone.core.record import Record
from hone.core.store import write_atomic
from hone.train import Listener, StepEvent

__all__ = ["open_trackers", "require_trackers"]

Tell = Callable[[int, dict[str, float]], None]


def require_trackers(names: Sequence[str]) -> None:
    """That the log can go there, asked before anything long is computed.

    Raises:
        Usage: a tracker is not known. MissingPackage: it is not installed.
    """
    unknown = [name for name in names if name not in _TRACKERS]
    if unknown:
        raise Usage("\n".join(f"tracker '{name}' is not known. {did_you_mean(name, _TRACKERS)}" for name in unknown))
    for name in names:
        need(name, extra=name)


@contextmanager
def open_trackers(names: Sequence[str], folder: Path, settings: Record) -> Iterator[Listener]:
    """A listener that writes each step everywhere; `log.jsonl` has a line a step, also of a run that goes on after a kill or is made again.

    Raises:
        Usage, MissingPackage: as `require_trackers` does.
    """
    require_trackers(names)
    with ExitStack() as stack:
        tells = [stack.enter_context(_TRACKERS[name](folder, settings)) for name in names]
        path = folder / "log.jsonl"
        written: list[TextIO] = []

        def tell(event: StepEvent) -> None:
            values = event.model_dump(exclude_none=True)
            if not written:
                _forget_from(path, event.step)
                written.append(stack.enter_context(path.open("a", encoding="utf-8")))
            written[0].write(json.dumps(values) + "\n")
            written[0].flush()
            numbers = {name: float(value) for name, value in values.items() if name not in ("step", "steps")}
            for one in tells:
                one(event.step, numbers)

        yield tell


def _forget_from(path: Path, step: int) -> None:
    """Take out the lines of a step and those after it: a run that goes on from its checkpoint does these steps again."""
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            earlier = json.loads(line)["step"]
        except (ValueError, KeyError, TypeError):  # cut off by a kill
            continue
        if earlier < step:
            kept.append(line + "\n")
    write_atomic(path, "".join(kept))


@contextmanager
def _tensorboard(folder: Path, settings: Record) -> Iterator[Tell]:
    need("tensorboard", extra="tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder / "tensorboard")) as writer:

        def tell(step: int, values: dict[str, float]) -> None:
            for name, value in values.items():
                writer.add_scalar(name, value, step)

        yield tell


@contextmanager
def _mlflow(folder: Path, settings: Record) -> Iterator[Tell]:
    mlflow: Any = need("mlflow", extra="mlflow")
    with mlflow.start_run(run_name=folder.name):
        mlflow.log_params(settings.model_dump(mode="json", exclude_defaults=True))
        yield lambda step, values: mlflow.log_metrics(values, step=step)


def _with_init(package: str) -> Any:
    """trackio and wandb share one way to start and to log."""

    @contextmanager
    def follow(folder: Path, settings: Record) -> Iterator[Tell]:
        library: Any = need(package, extra=package)
        library.init(project="hone", name=folder.name, config=settings.model_dump(mode="json", exclude_defaults=True))
        try:
            yield lambda step, values: library.log(values, step=step)
        finally:
            library.finish()

    return follow


_TRACKERS: dict[str, Any] = {
    "tensorboard": _tensorboard,
    "trackio": _with_init("trackio"),
    "mlflow": _mlflow,
    "wandb": _with_init("wandb"),
}
