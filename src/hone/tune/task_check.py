"""What the tasks of a mixture are recognised as, and how their rows are put: for a person to read before anything trains. No model is loaded."""

from collections.abc import Mapping, Sequence

from hone.core.console import render_table
from hone.strategy.text.form import Form
from hone.task import Template
from hone.tune.settings import TuneSettings
from hone.tune.task_records import TaskRecord
from hone.tune.task_rows import TaskRow, TaskRows
from hone.tune.tasks import open_tasks, shares_of, task_record

__all__ = ["check_tasks", "task_table"]

_SHOWN = 300  # characters at each end of a prompt
_TEXT = 160  # characters of the row in it


def check_tasks(settings: TuneSettings) -> tuple[tuple[TaskRecord, ...], str]:
    """The tasks, and a page on them: a table, then each task with a training row in the words of each of its templates.

    Raises:
        HoneError: as training would, of all tasks at once.
    """
    opened = open_tasks(settings)
    shares = shares_of(opened.mixture, opened.tasks)
    records = tuple(task_record(task, [], shares.get(task.name, 0.0)) for task in opened.tasks)
    formats, how = opened.mixture.formats, opened.mixture.settings
    fewest, most = formats.shots
    lines = [
        f"{opened.mixture.path}: {opened.material.because} Mixed {how.mixing}{_details(how.mixing, how.cap, how.temperature)}; "
        f"{formats.few_shot:.0%} of the prompts with {fewest} to {most} solved examples, {how.options:.0%} with their options listed, "
        f"{how.inversion:.0%} inverted.",
        "",
        task_table(records, {}),
    ]
    for task in opened.tasks:
        lines += ["", *_shown(task)]
    return records, "\n".join(lines)


def _details(mixing: str, cap: int, temperature: float) -> str:
    if mixing == "equal":
        return ""
    return f" (at most {cap:,} rows of each count{f', temperature {temperature:g}' if mixing == 'temperature' else ''})"


def task_table(records: Sequence[TaskRecord], epochs: Mapping[str, float]) -> str:
    """Rows, shares and what was left out, task by task. `epochs`: passes over each; without a column where there are none."""
    headers = ["task", "recognised as", "train", "evaluated", "share", "words", "left out"] + ["passes"] * bool(epochs)
    rows = [
        [
            one.name,
            one.kind if one.kind in ("classify", "chat") else one.shape,
            "held out" if one.held_out else f"{one.train:,}{f' of {one.train + one.unreached:,}' if one.unreached else ''}",
            f"{one.evaluated:,}",
            "" if one.held_out else f"{one.share:.1%}",
            _words(one),
            _left_out(one),
            *([f"{epochs[one.name]:.2f}" if one.name in epochs else ""] if epochs else []),
        ]
        for one in records
    ]
    align = ["left", "left", "right", "right", "right", "left", "left", "right"][: len(headers)]
    beyond = "\nRows that the draws do not come to stay out of training." if any(one.unreached for one in records) else ""
    notes = (
        "words: templates that train + that never do + inverted. "
        f"left out: unusable / repeated in the task / asked by evaluated rows.{beyond}"
    )
    return f"{render_table(headers, rows, align=align)}\n{notes}"  # type: ignore[arg-type]


def _words(one: TaskRecord) -> str:
    return f"{len(one.trained_templates)} + {len(one.unseen_templates)} + {len(one.inverted_templates)}"


def _left_out(one: TaskRecord) -> str:
    return f"{one.rejected:,} / {one.repeated:,} / {one.leaked:,}"


def _shown(task: TaskRows) -> list[str]:
    """A task with one row in the words of each template."""
    row = (task.train or task.evaluated)[0]
    lines = [f"== {task.name}: {task.because}", f"   Measured by {task.metric}; row of {row.file} line {row.line}:"]
    for said, templates in (("trains", task.trained), ("never trains", task.unseen), ("trains, inverted", task.inverted)):
        lines += [f"   -- {template.id} ({said})\n{_put(template, row)}" for template in templates]
    return lines


def _put(template: Template, row: TaskRow) -> str:
    """Prompt and answer, shortened."""
    text = row.text if len(row.text) <= _TEXT else f"{row.text[:_TEXT]} ..."
    if template.is_inverted:
        prompt, answer = template.pair(text, row.answer, options=row.options)
    else:
        form = Form(template, joins=True)
        prompt, answer = form.prompt(text, row.options), form.written(row.answer, row.options)
    return "\n".join(f"      {line}" for line in f"{_ends(prompt).rstrip()} => {_ends(answer).strip()}".splitlines())


def _ends(text: str) -> str:
    """The beginning and the end of a text: long lists of options stand between them."""
    return text if len(text) <= 2 * _SHOWN else f"{text[:_SHOWN]} ... {text[-_SHOWN:]}"
