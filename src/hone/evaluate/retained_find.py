"""Where retained tasks come from: hone's own, a file of the user's, an earlier run, a public benchmark from files or by the harness's name."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hone.core.errors import BadData, Usage, did_you_mean, need
from hone.core.store import read_lines
from hone.evaluate.local_tasks import LocalTask, find_local_tasks, is_local_task
from hone.evaluate.retained import RetainedTask, chosen_among, followed, joined
from hone.task import Choice, Completion, Dialogue, Example, Material, MaterialRow, Plain, load_material

__all__ = [
    "ANSWERS",
    "BUNDLED",
    "HARNESS",
    "as_retained",
    "bundled_tasks",
    "earlier_prompts",
    "find_tasks",
    "is_run",
    "read_retained",
]

HARNESS = "harness:"
"""Before the name of a task of lm-evaluation-harness."""
ANSWERS = "answers.jsonl"
"""What a run of `hone tune` answered at its end, row by row."""
_FOLDER = Path(__file__).parent / "suite"
_CHOSEN = ("everyday", "words", "knowledge", "numbers", "feelings", "reading")
BUNDLED = ("grammar", *_CHOSEN, "texts")
"""Names of hone's own tasks."""


@cache
def bundled_tasks() -> tuple[RetainedTask, ...]:
    """hone's own tasks, written for it; `evaluate/suite/README.md` says how."""
    return tuple(_bundled(name) for name in BUNDLED)


def _bundled(name: str) -> RetainedTask:
    rows: list[dict[str, Any]] = [dict(row) for row in read_lines(_FOLDER / f"{name}.jsonl")]
    if name == "texts":
        return RetainedTask(name, ("",) * len(rows), tuple((str(row["text"]),) for row in rows), (0,) * len(rows), None)
    if name == "grammar":
        pairs = tuple((str(row["good"]), str(row["bad"])) for row in rows)
        return RetainedTask(name, ("",) * len(rows), pairs, (0,) * len(rows), 0.5, is_long=False)
    prompts = tuple(_framed(row) for row in rows)
    choices = tuple(tuple(f" {choice}" for choice in row["choices"]) for row in rows)
    return RetainedTask(name, prompts, choices, tuple(int(row["answer"]) for row in rows), 1 / len(choices[0]))


def _framed(row: dict[str, Any]) -> str:
    """A beginning to go on with as it is; a question as one; a message with what is asked about it."""
    before = f"{row['context']}\n" if "context" in row else ""
    if set(row["choices"]) == {"positive", "negative"}:
        return f"{row['question']}\nThis message is"
    return f"{before}Question: {row['question']}\nAnswer:" if row["question"].endswith("?") else f"{before}{row['question']}"


def read_retained(source: str) -> RetainedTask:
    """The rows of a file or Hub data set as a task: multiple choice and classes by their choices, everything else by its likelihood.

    Raises:
        HoneError: it cannot be read. Usage: rows whose answers are no words (tags, numbers, several labels, places in a text).
    """
    material = load_material(source)
    name = Path(source).stem
    rows = material.rows
    if material.kind == "classify":
        return _classes(name, [row for row in rows if isinstance(row, Example)])
    if material.kind == "choice":
        asked = [row for row in rows if isinstance(row, Choice)]
        choices = [tuple(f" {choice}" for choice in row.choices) for row in asked]
        return chosen_among(name, [f"Question: {row.question}\nAnswer:" for row in asked], choices, [row.answer for row in asked])
    return followed(name, [_pair(row, material) for row in rows])


def _earlier(run: Path, *, others: bool) -> RetainedTask:
    """What a run of `hone tune` learnt: the rows that it answered at its end, put as it put them. `others`: than those of `earlier_prompts`.

    Raises:
        Usage: it learnt several tasks.
    """
    rows = run_answers(run)
    if "task" in rows[0]:
        raise Usage(f"{run} learnt several tasks. Name the files of those that are to be asked again.")
    return followed(run.name, [(str(row["read"]), str(row["right"])) for row in (rows[::2] if others else rows)])


def earlier_prompts(run: Path) -> list[str]:
    """Every second prompt that a run of `hone tune` answered at its end, for self-replay to write behind; none where there is no such run."""
    return [str(row["read"]) for row in read_lines(run / ANSWERS)][1::2] if is_run(run) else []


def run_answers(run: Path) -> list[dict[str, Any]]:
    """The rows that a run of `hone tune` answered at its end, a class or a text each.

    Raises:
        BadData: it learnt something else.
    """
    rows = [dict(row) for row in read_lines(run / ANSWERS)]
    if not all(isinstance(row["right"], str) for row in rows):
        raise BadData(
            f"{run} learnt numbers, tags, several labels or stretches of passages, which nobody can be asked for again as a retained task. Name a "
            "run that learnt classes or written answers, or a file."
        )
    return rows


def is_run(place: Path) -> bool:
    """Whether it is the folder of a run of `hone tune` that answered rows at its end."""
    return all((place / file).is_file() for file in ("hone.json", ANSWERS))


def _classes(name: str, rows: Sequence[Example]) -> RetainedTask:
    labels = sorted({row.label for row in rows})
    if len(labels) < 2:
        raise BadData(f"{name} holds one class, '{labels[0]}', so nothing can be answered wrongly. Give rows of several.")
    choices = tuple(f" {label.replace('_', ' ')}" for label in labels)
    prompts = tuple(f"{row.text}\nThis is about" for row in rows)
    return RetainedTask(name, prompts, (choices,) * len(rows), tuple(labels.index(row.label) for row in rows), 1 / len(labels))


def _pair(row: MaterialRow, material: Material) -> tuple[str, str]:
    """What is read and what should follow."""
    if isinstance(row, Plain):
        return "", row.text
    if isinstance(row, Completion):
        return f"{row.prompt}\n", row.completion
    if isinstance(row, Dialogue):
        last = max(index for index, message in enumerate(row.messages) if message.role == "assistant")
        before = "\n".join(f"{message.role.capitalize()}: {message.content}" for message in row.messages[:last])
        return f"{before}\nAssistant:", f" {row.messages[last].content}"
    raise Usage(
        f"{material.source} holds rows of the kind '{material.kind}', whose answers are no words that a text model writes. "
        "Give classes, choices, completions, dialogues or plain texts."
    )


def read_benchmark(place: Path) -> RetainedTask:
    """A public benchmark from its files, as `hone eval --data` reads them, without examples before its questions; all its subjects in one task.

    Raises:
        HoneError: a file is missing or its rows have another shape.
    """
    return joined(place.name, [as_retained(task) for task in find_local_tasks(place.parent, (place.name,))])


def as_retained(task: LocalTask) -> RetainedTask:
    """A benchmark's questions with their choices or right answers; of one continuation after several contexts, whole texts are the choices."""
    rows = task.tests
    prompts = [f"{task.description}{row.get('query', '')}" for row in rows]
    if task.form in ("choices", "blank"):
        choices = [
            tuple(f"{task.delimiter}{choice}" for choice in row["choices"])
            if task.form == "choices"
            else tuple(f"{context}{task.delimiter}{row['rest']}" for context in row["contexts"])
            for row in rows
        ]
        return chosen_among(task.name, prompts, choices, [row["gold"] for row in rows], is_long="acc_norm" in task.metrics)
    answers = [f"{'' if row['answer'][:1].isspace() else task.delimiter}{row['answer']}" for row in rows]
    return followed(task.name, list(zip(prompts, answers, strict=True)))


def find_tasks(names: Sequence[str], *, replayed: Path | None = None) -> list[RetainedTask]:
    """hone's own tasks by name, 'bundled' for all of them, files, runs of `hone tune`, and public benchmarks: folders of their files, or names
    of lm-evaluation-harness behind 'harness:'. `replayed`: a run of whose rows only those are asked behind whose prompts nothing is replayed.

    Raises:
        HoneError: a name is neither, or stands twice.
    """
    known = {task.name: task for task in bundled_tasks()}
    found: list[RetainedTask] = []
    for name in names:
        place = Path(name).expanduser()
        if name == "bundled":
            found += known.values()
        elif name in known:
            found.append(known[name])
        elif is_run(place):
            found.append(_earlier(place, others=replayed is not None and place.resolve() == replayed.resolve()))
        elif name.startswith(HARNESS):
            need("lm_eval", extra="harness")
            from hone.evaluate.retained_harness import harness_task

            found.append(harness_task(name.removeprefix(HARNESS)))
        elif place.is_dir() and is_local_task(place.name):
            found.append(read_benchmark(place))
        elif place.exists() or "/" in name:
            found.append(read_retained(name))
        else:
            raise Usage(
                f"'{name}' is no task of hone's own, no file and no run. {did_you_mean(name, ('bundled', *known))} "
                f"Tasks of lm-evaluation-harness are called '{HARNESS}NAME'."
            )
    twice = [task.name for at, task in enumerate(found) if task.name in {other.name for other in found[:at]}]
    if twice:
        raise Usage(f"The retained task '{twice[0]}' is named twice. Name each once.")
    return found
