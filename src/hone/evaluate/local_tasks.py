"""Public benchmarks from files on disk: what lm-evaluation-harness fetches from the Hub, in the shapes in which people keep them.

Each benchmark is turned into one of four plain forms with the harness's own wording, so that its scores mean the same.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from hone.core.console import note
from hone.core.errors import BadData, Usage, did_you_mean
from hone.evaluate.local_rows import KINDS, Row, benchmark_files, checked, place_of, read_rows

__all__ = ["LOCAL_TASKS", "LocalTask", "check_shots", "find_local_tasks", "is_local_task"]

Form = Literal["choices", "blank", "likelihood", "text"]


@dataclass(frozen=True)
class LocalTask:
    """Documents of one task, ready to be asked.

    Forms: `choices` {query, choices, gold}; `blank` {contexts, gold, rest}: one continuation after several contexts; `likelihood` {query,
    answer}; `text` {query, answer}: to be written.
    """

    name: str
    form: Form
    tests: list[Row]
    shots: list[Row]
    """From which few-shot examples are taken, the first first."""
    metrics: tuple[str, ...]
    description: str = ""
    default_shots: int = 0
    delimiter: str = " "
    stop: tuple[str, ...] = ()
    harness: Row = field(default_factory=dict)
    """What lm-evaluation-harness must be told beside: filters of the answer, how it is compared."""
    chance: float | None = None
    """Score of guessing; None where there is none."""
    own: Row = field(default_factory=dict)
    """The harness's own configuration, for rows as the files hold them; empty where the task is put together from the rest."""


@dataclass(frozen=True)
class _Shape:
    form: Form
    tests: tuple[str, ...]
    """Files without their ending, or globs, of which those that are there are joined."""
    convert: Callable[[Row], Row]
    shots: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ("acc",)
    more: dict[str, Any] = field(default_factory=dict)


def _sure(row: Row, *names: str) -> list[Any]:
    missing = [name for name in names if name not in row]
    if missing:
        raise KeyError(f"no {', '.join(map(repr, missing))}; it has {', '.join(map(repr, row))}")
    return [row[name] for name in names]


def _filled(template: str, row: Row) -> str:
    return re.sub(r"\{([^}]+)\}", lambda found: str(_sure(row, found[1])[0]), template)


def _mmlu(row: Row) -> Row:
    question, *choices, answer = _sure(row, "question", "A", "B", "C", "D", "answer")
    lines = [question.strip(), *(f"{letter}. {choice}" for letter, choice in zip("ABCD", choices, strict=True)), "Answer:"]
    return {"query": "\n".join(lines), "choices": list("ABCD"), "gold": place_of(answer, "ABCD")}


def _arc(row: Row) -> Row:
    if "query" in row:
        query, choices, gold = _sure(row, "query", "choices", "gold")
        return {"query": f"{query}\nAnswer:", "choices": choices, "gold": gold}
    question, answer = _sure(row, "question", "answer")
    letters = [letter for letter in "ABCDE" if row.get(letter) not in (None, "")]
    choices = [row[letter] for letter in letters]
    return {"query": f"Question: {question}\nAnswer:", "choices": choices, "gold": place_of(answer, letters)}


def _openbookqa(row: Row) -> Row:
    stem, listed, answer = _sure(row, "Question Stem", "Choices", "Answer Key" if "Answer Key" in row else "Correct Answer")
    choices = [choice.strip() for choice in re.split(r"\([A-E]\)", listed)[1:]]
    return {"query": stem, "choices": choices, "gold": place_of(answer, "ABCDE"[: len(choices)])}


def _winogrande(row: Row) -> Row:
    instruction, answer = _sure(row, "instruction", "answer")
    found = re.match(r"(?s).*?sentence: (.*?)\n\nOption1: (.*?) Option2: (.*?) Answer format", instruction)
    if not found or "_" not in found[1]:
        raise KeyError("no sentence with a blank and two options in 'instruction'")
    before, _, after = found[1].partition("_")
    gold = place_of(answer, ("option1", "option2"))
    return {"contexts": [before + found[2], before + found[3]], "gold": gold, "rest": after.strip()}


def _labelled(query: str, choices: list[str], labels: tuple[str, ...], label: str = "label") -> Callable[[Row], Row]:
    """A question with fixed answers; `labels`: how the file writes them, in the order of the answers, or else by number."""

    def convert(row: Row) -> Row:
        (value,) = _sure(row, label)
        written = str(value).lower()
        known = {**{str(index): index for index in range(len(labels))}, **{name: index for index, name in enumerate(labels)}}
        if written not in known:
            raise KeyError(f"{label} is {value!r}, not one of {', '.join(labels)}")
        return {"query": _filled(query, row), "choices": choices, "gold": known[written]}

    return convert


def _plain(query: str, *, choices: str = "choices", gold: str = "gold") -> Callable[[Row], Row]:
    def convert(row: Row) -> Row:
        text, options, right = _sure(row, query, choices, gold)
        return {"query": text, "choices": options, "gold": right}

    return convert


def _written(query: str, answer: str) -> Callable[[Row], Row]:
    def convert(row: Row) -> Row:
        return {"query": _filled(query, row), "answer": _filled(answer, row)}

    return convert


_NO_YES = ["no", "yes"]
_SHAPES: dict[str, _Shape] = {
    "mmlu": _Shape("choices", ("test*",), _mmlu, ("dev",)),
    "bbh": _Shape(
        "text",
        ("*",),
        _written("Q: {input}\nA:", "{target}"),
        metrics=("exact_match",),
        more={"stop": ("</s>", "Q", "\n\n"), "default_shots": 3},
    ),
    "arc_easy": _Shape("choices", ("test",), _arc, ("train",), metrics=("acc", "acc_norm")),
    "arc_challenge": _Shape("choices", ("test",), _arc, ("train",), metrics=("acc", "acc_norm")),
    "hellaswag": _Shape("choices", ("val*",), _plain("ctx", choices="endings", gold="label"), metrics=("acc", "acc_norm")),
    "openbookqa": _Shape("choices", ("test",), _openbookqa, ("train",), metrics=("acc", "acc_norm")),
    "winogrande": _Shape("blank", ("test", "val*"), _winogrande),
    "glue_cola": _Shape(
        "choices",
        ("*_dev", "dev"),
        _labelled("{sentence}\nQuestion: Does this sentence make sense?\nAnswer:", _NO_YES, ("0", "1")),
        ("*train",),
        metrics=("mcc",),
    ),
    "glue_mrpc": _Shape(
        "choices",
        ("test",),
        _labelled(
            "Sentence 1: {#1 String}\nSentence 2: {#2 String}\nQuestion: Do both sentences mean the same thing?\nAnswer:",
            _NO_YES,
            ("0", "1"),
            "Quality",
        ),
        ("train",),
        metrics=("acc", "f1"),
    ),
    "glue_qnli": _Shape(
        "choices",
        ("dev",),
        _labelled(
            "{question}\n{sentence}\nQuestion: Does this response answer the question?\nAnswer:",
            ["yes", "no"],
            ("entailment", "not_entailment"),
        ),
        ("train",),
    ),
    "sst2": _Shape(
        "choices",
        ("dev",),
        _labelled("{text}\nQuestion: Is this sentence positive or negative?\nAnswer:", ["negative", "positive"], ("0", "1")),
        ("train",),
    ),
    "superglue_boolq": _Shape(
        "choices",
        ("val*",),
        _labelled("{passage}\nQuestion: {question}?\nAnswer:", _NO_YES, ("false", "true")),
        ("train",),
    ),
    "superglue_cb": _Shape(
        "choices",
        ("val*",),
        _labelled(
            "{premise}\nQuestion: {hypothesis}. True, False, or Neither?\nAnswer:",
            ["True", "False", "Neither"],
            ("entailment", "contradiction", "neutral"),
        ),
        ("train",),
        metrics=("acc", "macro_f1"),
    ),
    "lambada": _Shape("likelihood", ("test",), _written("{context}", " {continuation}"), metrics=("perplexity", "acc")),
    "blimp": _Shape(
        "choices",
        ("*",),
        lambda row: {"query": "", "choices": _sure(row, "sentence_good", "sentence_bad"), "gold": 0},
    ),
    "gsm8k": _Shape(
        "text",
        ("test",),
        _written("Question: {question}\nAnswer:", "{answer}"),
        ("train",),
        metrics=("exact_match",),
        more={
            "stop": ("Question:", "</s>", "<|im_end|>"),
            "default_shots": 5,
            "harness": {
                "filter_list": [
                    {"name": name, "filter": [{"function": "regex", **how}, {"function": "take_first"}]}
                    for name, how in (
                        ("strict-match", {"regex_pattern": r"#### (\-?[0-9\.\,]+)"}),
                        ("flexible-extract", {"group_select": -1, "regex_pattern": r"(-?[$0-9.,]{2,})|(-?[0-9]+)"}),
                    )
                ],
                "compare": {"ignore_case": True, "regexes_to_ignore": [",", "\\$", "(?s).*#### ", "\\.$"]},
            },
        },
    ),
}
LOCAL_TASKS = tuple(_SHAPES)
"""Benchmarks whose public files are read; a file of the user's own with {query, choices, gold} or {prompt, completion} rows is one, too."""

_OWN: tuple[tuple[frozenset[str], _Shape], ...] = (
    (frozenset({"query", "choices", "gold"}), _Shape("choices", (), _plain("query"), metrics=("acc", "acc_norm"))),
    (frozenset({"prompt", "completion"}), _Shape("text", (), _written("{prompt}", "{completion}"), metrics=("exact_match",))),
)


Own = Callable[[str], Row | None]


def find_local_tasks(folder: Path, names: tuple[str, ...], *, own: Own | None = None) -> list[LocalTask]:
    """The named tasks from the folders or files of their names in `folder`; `mmlu` and `bbh` are one task per subject.

    Args:
        own: the harness's own configuration of a task of `bbh`, if it has one; by it the task is asked. None: each as it stands in its file.
    Raises:
        Usage: a name is neither a known benchmark nor a file. BadData: a file is missing or its rows have another shape; all at once.
    """
    tasks: list[LocalTask] = []
    problems: list[str] = []
    for name in names:
        try:
            tasks += _found(folder, name, own)
        except BadData as error:
            problems.append(str(error))
    if problems:
        raise BadData("\n".join(problems))
    return tasks


def check_shots(tasks: Sequence[LocalTask], shots: int | None) -> None:
    """Say which tasks are asked without examples though some are asked for.

    Args:
        shots: examples before each question; None for what each task says.
    Raises:
        Usage: a task has some, but fewer than are asked for; all such tasks at once.
    """
    few, none = [], []
    for task in tasks:
        wanted = task.default_shots if shots is None else shots
        held = Counter(map(repr, task.shots))
        there = len(task.shots) - max((held[repr(row)] for row in task.tests), default=0)  # no question stands before itself
        if task.shots and wanted > there:
            few.append(f"{task.name} has {there}")
        elif wanted and not task.shots:
            none.append(task.name)
    if few:
        asked = f"--shots {shots}" if shots is not None else "the usual number of solved examples"
        raise Usage(f"{asked} is more than there are: {', '.join(few)}. Name fewer, or put more rows into the files of examples.")
    if none:
        note(f"Asked without examples, since the files hold none to show: {', '.join(none)}.")


def is_local_task(name: str) -> bool:
    """Whether a benchmark of that name, or one of its subjects, is read from files."""
    return _base(name) is not None


def _base(name: str) -> str | None:
    return next(
        (known for known in sorted(_SHAPES, key=len, reverse=True) if name == known or name.startswith(f"{known}_")), None
    )


def _found(folder: Path, name: str, own: Own | None) -> list[LocalTask]:
    alone = next((path for path in (folder / name, *(folder / f"{name}{kind}" for kind in KINDS)) if path.is_file()), None)
    if alone is not None:
        return [_own_task(alone)]
    base = _base(name)
    if base is None:
        raise Usage(
            f"task '{name}' is neither a benchmark that is read from files nor a file {folder / name}.jsonl, .json or .parquet. "
            f"{did_you_mean(name, _SHAPES)}"
        )
    shape, place = _SHAPES[base], folder / base
    tests = _files(place, shape.tests)
    if not tests:
        raise BadData(f"task '{name}' needs {' or '.join(shape.tests)} ({', '.join(KINDS)}) in {place}, and none is there.")
    shots = _files(place, shape.shots)
    if base == "bbh":
        made = [_bbh(path, shape, own) for path in tests]
    elif base == "mmlu":
        made = list(_subjects(tests, shots, shape))
    else:
        made = [_task(name, shape, _join(tests, shape), _join(shots, shape))]
    wanted = [task for task in made if name in (base, task.name)]
    if not wanted:
        raise Usage(f"task '{name}' is not among those of {place}. {did_you_mean(name, [task.name for task in made])}")
    return wanted


def _bbh(path: Path, shape: _Shape, own: Own | None) -> LocalTask:
    task = _task(f"bbh_{path.stem}", shape, _rows(path, shape), [])
    if own is None:
        return task
    if (asked := own(path.stem)) is None:
        note(f"lm-evaluation-harness has no examples of its own for {task.name}; the first rows of its file stand as examples.")
        return task
    rows = [{name: str(row[name]) for name in ("input", "target")} for _, row in read_rows(path)]
    return replace(task, tests=rows, shots=asked["fewshot_config"]["samples"], default_shots=asked["num_fewshot"], own=asked)


def _subjects(tests: list[Path], shots: list[Path], shape: _Shape) -> Iterator[LocalTask]:
    by_subject: dict[str, tuple[list[Row], list[Row]]] = {}
    for side, files in enumerate((tests, shots)):
        for path in files:
            for line, row in read_rows(path):
                subject = str(row.get("subject", "all"))
                by_subject.setdefault(subject, ([], []))[side].append(_converted(row, shape, path, line))
    for subject, (asked, shown) in sorted(by_subject.items()):
        if not asked:
            continue
        about = f"The following are multiple choice questions (with answers) about {subject.replace('_', ' ')}.\n\n"
        yield _task(f"mmlu_{subject}", shape, asked, shown, description=about)


def _task(name: str, shape: _Shape, tests: list[Row], shots: list[Row], **more: Any) -> LocalTask:
    chance = None
    if shape.form in ("choices", "blank") and tests and shape.metrics[0] == "acc":
        chance = sum(1 / len(row.get("choices") or row["contexts"]) for row in tests) / len(tests)
    count = shape.more.get("default_shots", 0)
    if not shots and count:  # the first rows stand as examples, and are not asked
        shots, tests = tests[:count], tests[count:]
    return LocalTask(name, shape.form, tests, shots, shape.metrics, chance=chance, **{**shape.more, **more})


def _own_task(path: Path) -> LocalTask:
    first = next(read_rows(path), None)
    keys = frozenset(first[1]) if first else frozenset()
    for needed, shape in _OWN:
        if needed <= keys:
            return _task(path.stem, shape, _rows(path, shape), [])
    wanted = " or ".join("{" + ", ".join(sorted(needed)) + "}" for needed, _ in _OWN)
    raise BadData(f"{path}: rows of an own task need {wanted}; the first has {', '.join(sorted(keys)) or 'nothing'}.")


def _files(place: Path, globs: tuple[str, ...]) -> list[Path]:
    return sorted({path for pattern in globs for path in benchmark_files(place, pattern)})


def _join(files: list[Path], shape: _Shape) -> list[Row]:
    return [row for path in files for row in _rows(path, shape)]


def _rows(path: Path, shape: _Shape) -> list[Row]:
    return [_converted(row, shape, path, line) for line, row in read_rows(path)]


def _converted(row: Row, shape: _Shape, path: Path, line: int) -> Row:
    try:
        return checked(shape.convert(row), shape.form)
    except (KeyError, ValueError, AttributeError, TypeError) as error:
        raise BadData(f"{path}, line {line}: {error.args[0] if error.args else error}.") from error
