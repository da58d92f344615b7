"""A mixture of tasks, read from YAML: which rows, in which formats, in what shares. Rows are read later, by who trains on them.

Each problem of the file is told at once, with its line. The one surprise: a source is looked for beside the YAML file.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import Field

from hone.core.configuration import Form, parse_names, settings_from
from hone.core.errors import Usage
from hone.core.record import Record
from hone.core.yaml_file import places_in, read_yaml
from hone.task.hub import looks_like_hub_id
from hone.task.kinds import Kind, TaskShape
from hone.task.labels import composed

__all__ = ["Formats", "Mixing", "MixtureSettings", "MixtureTask", "TaskMixture", "names_mixture", "read_mixture"]

Mixing: TypeAlias = Literal["proportional", "temperature", "equal"]
"""How the shares of tasks follow from their sizes."""


class Formats(Record):
    """How prompts are put."""

    few_shot: float = Field(default=0.5, ge=0, le=1)
    """Share of prompts with solved examples before the question."""
    shots: tuple[int, int] = (1, 4)
    """Fewest and most of them."""


class MixtureTask(Record):
    """One task of a mixture. Only `data` is required."""

    data: str
    """File, beside the YAML file, or Hub id."""
    name: str | None = None
    """None means the source's."""
    kind: Kind | None = None
    """What the rows are; none means recognised."""
    shape: TaskShape | None = None
    """In which words to ask; none means recognised."""
    prompt: str | None = None
    """Column of the prompt."""
    completion: str | None = None
    """Column of the completion."""
    text: tuple[str, ...] = ()
    """Columns of what is read."""
    label: str | None = None
    """Column of what is answered."""
    words: dict[str, str] = Field(default_factory=dict)
    """What a class is called in prompts, by its label."""
    templates: tuple[str, ...] = ()
    """Names of bundled templates of the shape, or TOML files of one's own; none means all bundled ones."""
    limit: int | None = Field(default=None, ge=2)
    """Most rows that are used, drawn by the seed."""
    split: str | None = None
    """Of a Hub data set."""
    validation: str | None = None
    """Rows that are evaluated; none means a tenth of the data."""
    held_out: bool = False
    """Whether the task is only evaluated, and never trained."""
    weight: float = Field(default=1.0, gt=0)
    """Factor of its share."""
    evaluate: int | None = Field(default=None, ge=2)
    """Most rows that are evaluated; none means the mixture's."""


class MixtureSettings(Record):
    """What holds for all tasks of a mixture."""

    mixing: Mixing = "proportional"
    """Shares as the numbers of rows, as these to the power 1 / temperature, or all alike."""
    cap: int = Field(default=3000, ge=1)
    """Most rows of a task that count for its share (FLAN, https://arxiv.org/abs/2109.01652)."""
    temperature: float = Field(default=2.0, gt=0)
    """Of mixing by temperature: 1 is proportional, a large one makes all tasks alike."""
    options: float = Field(default=0.5, ge=0, le=1)
    """Share of prompts that list what may be answered, where there is a choice."""
    inversion: float = Field(default=0.1, ge=0, le=1)
    """Share of examples that ask for a row's text from its answer, where the shape has such a template."""
    held_out_templates: int = Field(default=1, ge=0)
    """Templates of each task that never train, and are evaluated apart."""
    evaluate: int = Field(default=100, ge=2)
    """Most rows of a task that are evaluated."""


@dataclass(frozen=True)
class TaskMixture:
    """A mixture as its file says it."""

    path: Path
    settings: MixtureSettings
    formats: Formats
    tasks: tuple[MixtureTask, ...]
    """Each with a name of its own, and sources as they can be opened."""
    places: tuple[str, ...]
    """Where each task stands, as the beginning of a message: "tasks.yaml line 7, task 'news': "."""


_TASK = Form(MixtureTask, "hone tune", readers={"text": parse_names, "templates": parse_names})
_SETTINGS = Form(MixtureSettings, "hone tune")
_FORMATS = Form(Formats, "hone tune")
_SUCH_AS = "tasks: [{data: reviews.csv}]"


def names_mixture(source: str) -> bool:
    """Whether a source is a mixture of tasks rather than rows."""
    return Path(source).suffix.lower() in (".yaml", ".yml")


def read_mixture(source: str) -> TaskMixture:
    """The mixture in a YAML file.

    Raises:
        Usage: there is no such file, it is not YAML, or keys or values are wrong; all of them are told at once, with their lines.
    """
    path = Path(source).expanduser()
    if not path.is_file():
        raise Usage(f"There is no file of tasks {path}. Check the path.")
    loaded = read_yaml(path, such_as=_SUCH_AS)
    places = places_in(loaded, path)
    problems: list[str] = []
    known = {str(key): value for key, value in loaded.items()}
    tasks, found_at = _tasks(known.pop("tasks", None), path, places.get("tasks", f"{path}: "), problems)
    formats = known.pop("formats", {})
    if isinstance(formats, dict):
        formats = _read(_FORMATS, formats, places_in(formats, path) if formats else {}, problems)
        if formats is not None and not 1 <= formats.shots[0] <= formats.shots[1]:
            problems.append(
                f"{places['formats']}'shots' is {list(formats.shots)}. Give the fewest and the most, such as [1, 4]; for none set few_shot: 0."
            )
    else:
        problems.append(f"{places['formats']}'formats' must hold few_shot and shots.")
    settings = _read(_SETTINGS, known, places, problems, also=("tasks", "formats"))
    _check_tasks(tasks, found_at, places.get("tasks", f"{path}: "), problems)
    if problems:
        raise Usage("\n".join(problems))
    assert settings is not None and isinstance(formats, Formats)
    named = tuple(f"{place.removesuffix(': ')}, task '{task.name}': " for task, place in zip(tasks, found_at, strict=True))
    return TaskMixture(path, settings, formats, tuple(tasks), named)


def _read(
    form: Form[Any], values: Any, places: dict[str, str], problems: list[str], *, here: str = "", also: Sequence[str] = ()
) -> Any:
    """A record from loose values, or None with what is wrong among the problems; `here` is where what is missing should stand."""
    try:
        return settings_from(form, {str(key): value for key, value in values.items()}, places=places)
    except Usage as error:
        for line in str(error).splitlines():
            more = f" Known too: {', '.join(also)}." if also and " is not known. Known:" in line else ""
            problems.append(f"{'' if line.startswith(tuple(places.values())) else here}{line}{more}")
        return None


def _tasks(given: Any, path: Path, place: str, problems: list[str]) -> tuple[list[MixtureTask], list[str]]:
    """The tasks that can be read, and where each stands."""
    if not isinstance(given, list) or not given:
        problems.append(f"{place}'tasks' must be a list with one entry for each task, such as `- data: reviews.csv`.")
        return [], []
    tasks: list[MixtureTask] = []
    places: list[str] = []
    lines: Any = getattr(given, "lc", None)  # ruamel's lists know where their entries stand
    for index, entry in enumerate(given):
        here = f"{path} line {lines.item(index)[0] + 1}: "
        if not isinstance(entry, dict):
            problems.append(f"{here}a task must hold keys and values, such as `data: reviews.csv`.")
            continue
        loose = {str(key): value for key, value in entry.items()}
        if isinstance(loose.get("words"), dict):
            loose["words"] = {composed(str(label)): str(word) for label, word in loose["words"].items()}
        task = _read(_TASK, loose, places_in(entry, path), problems, here=here)
        if task is not None:
            tasks.append(_opened(task, path.parent))
            places.append(here)
    return tasks, places


def _opened(task: MixtureTask, folder: Path) -> MixtureTask:
    """The task with a name and with sources as they can be opened."""
    source = _beside(task.data, folder)
    return task.model_copy(
        update={
            "name": task.name or Path(task.data.split(":")[0]).name.split(".")[0],
            "data": source if task.split is None else f"{source}:{task.split}",
            "validation": task.validation and _beside(task.validation, folder),
            "templates": tuple(str(folder / name) if name.endswith(".toml") else name for name in task.templates),
        }
    )


def _beside(source: str, folder: Path) -> str:
    """A file is looked for beside the YAML file; what is none there and looks like a Hub id stays one."""
    path = folder / Path(source).expanduser()
    has_ending = path.suffix.lower() in (".csv", ".tsv", ".tab", ".txt", ".json", ".jsonl", ".ndjson", ".parquet", ".gz")
    return str(path) if path.exists() or has_ending or not looks_like_hub_id(source) else source


def _check_tasks(tasks: Sequence[MixtureTask], places: Sequence[str], place: str, problems: list[str]) -> None:
    """What is wrong between keys, and between tasks."""
    counts = Counter(task.name for task in tasks)
    for task, here in zip(tasks, places, strict=True):
        if counts[task.name] > 1:
            problems.append(f"{here}{counts[task.name]} tasks are called '{task.name}'. Give each a `name` of its own.")
        if task.held_out and (task.weight != 1 or task.validation is not None):
            problems.append(
                f"{here}'{task.name}' is held out, so it has no weight and all its rows are evaluated. Leave these out."
            )
        if task.split is not None and Path(task.data.rpartition(":")[0]).exists():
            problems.append(
                f"{here}'split' is for data sets of the Hub, and {task.data.rpartition(':')[0]} is a file. Leave it out."
            )
    if tasks and all(task.held_out for task in tasks):
        problems.append(f"{place}every task is held out, so there is nothing to train. Leave `held_out` out of at least one.")
