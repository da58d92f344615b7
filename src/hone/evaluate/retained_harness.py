"""Any task of lm-evaluation-harness as a retained task: its own wording, without examples before the question unless the task asks for some."""

from collections.abc import Iterable
from typing import Any

from hone.core.errors import Usage
from hone.evaluate.harness import fetching, marks_itself, quiet, read_task_list
from hone.evaluate.retained import RetainedTask, chosen_among, followed, joined

__all__ = ["harness_task", "questions"]

_MOST = 1_000  # documents of a task that are read: retained tasks ask some dozen of them


def harness_task(name: str) -> RetainedTask:
    """A task or a group of tasks by its name; a group's are joined.

    Raises:
        Usage: there is no such task. Failed: its questions cannot be fetched.
    """
    with quiet():
        manager = read_task_list([name])
        with fetching():
            found = manager.load(name)["tasks"]
            return joined(name, [questions(task) for task in found.values()])


def questions(task: Any) -> RetainedTask:
    """The documents of a `lm_eval.api.task.Task` with their choices, or of other tasks than choices with the texts that are right.

    Of one continuation after several contexts whole texts are the choices.

    Raises:
        Usage: it has several right answers to a question, or none, or marks choices in a way of its own, as TruthfulQA's MC2 does.
    """
    task.build_all_requests(limit=_MOST, rank=0, world_size=1)
    if task.OUTPUT_TYPE != "multiple_choice":
        return followed(task.task_name, [_pair(task, one) for one in task.instances])
    if marks_itself(task):
        raise Usage(
            f"'{task.task_name}' marks its choices in a way of its own, so several may be right, and what is lost of it cannot be counted. "
            "Name a task with one right choice to a question."
        )
    prompts, choices, right = [], [], []
    for asked in _by_document(task.instances):
        doc = asked[0].doc
        asked = asked[: len(task.doc_to_choice(doc))]  # noqa: PLW2901  # behind them stand the choices without a context, for some measures
        contexts, follow = [one.args[0] for one in asked], [one.args[1] for one in asked]
        if len(set(contexts)) > 1:
            prompts.append("")
            choices.append(tuple(f"{context}{text}" for context, text in zip(contexts, follow, strict=True)))
        else:
            prompts.append(contexts[0])
            choices.append(tuple(follow))
        right.append(_right(task, doc))
    is_long = "acc_norm" in {entry["metric"] for entry in task.config.metric_list or ()}
    return chosen_among(task.task_name, prompts, choices, right, is_long=is_long)


def _by_document(instances: Iterable[Any]) -> list[list[Any]]:
    found: dict[int, list[Any]] = {}
    for one in instances:
        found.setdefault(one.doc_id, []).append(one)
    return [sorted(asked, key=lambda one: one.idx) for asked in found.values()]


def _right(task: Any, doc: Any) -> int:
    """Index of the right choice."""
    said = task.doc_to_text(doc) if task.multiple_input else task.doc_to_target(doc)
    choices = task.doc_to_choice(doc)
    if isinstance(said, str) and said in choices:
        return int(choices.index(said))
    if not isinstance(said, int) or not 0 <= said < len(choices):
        raise Usage(
            f"'{task.task_name}' has no one right choice to a question ({said!r}), so what is lost of it cannot be counted."
        )
    return said


def _pair(task: Any, asked: Any) -> tuple[str, str]:
    """What is read and what should follow."""
    if task.OUTPUT_TYPE == "loglikelihood_rolling":
        return "", str(asked.args[0])
    if task.OUTPUT_TYPE == "loglikelihood":
        return str(asked.args[0]), str(asked.args[1])
    said = task.doc_to_target(asked.doc)
    answer = str(said[0] if isinstance(said, list) else said)
    return str(asked.args[0]), answer if answer[:1].isspace() else f"{task.config.target_delimiter}{answer}"
