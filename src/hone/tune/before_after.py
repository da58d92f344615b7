"""What is asked of the model before the first step, and again after the last: validation rows in words, tasks of a mixture, retained tasks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from hone.core.errors import Usage
from hone.core.store import write_lines
from hone.evaluate.retained_find import ANSWERS
from hone.measure import Certificate, Marks
from hone.model import HeadedNetwork
from hone.train import Measured
from hone.tune.answers import Exam
from hone.tune.ready import Ready
from hone.tune.records import TestScores, TuneRecord
from hone.tune.task_scores import Sheet, answer_sheets, answers_told, make_sheets, score_sheets
from hone.tune.watch import Watch, begin_watch, can_be_watched
from hone.tune.watch_vectors import VectorWatch, begin_vector_watch

__all__ = ["BeforeAfter", "take_down"]

_TAKEN_OFF = ("lora", "ia3", "adapter", "prompt", "prefix")
_NO_DIAL = ("prompt", "prefix")


@dataclass
class BeforeAfter:
    """The answers of the base, and what to ask again."""

    ready: Ready
    is_first: bool = True
    """Of several processes, whether this is the one that asks and writes."""
    exam: Exam | None = None
    """Of validation rows."""
    test: Exam | None = None
    sheets: Sequence[Sheet] = ()
    marks: Sequence[Marks] = field(default_factory=list)
    watch: Watch | None = None
    vectors: VectorWatch | None = None
    not_watched: str | None = None

    def keep_promise(self) -> Certificate | None:
        """Turn the dial down to where the budget is kept; None where none was named."""
        ready = self.ready
        if self.watch:
            return self.watch.keep_promise(ready.net, ready.reader, ready.settings)
        if self.vectors and isinstance(ready.net, HeadedNetwork):
            return self.vectors.keep_promise(ready.net, ready.reader, ready.settings)
        return None

    def finish(self, done: TuneRecord, kept: Measured | None) -> TuneRecord:
        """The record with what changed; the answers themselves go to `answers.jsonl` and `test_answers.jsonl`.

        Args:
            kept: what was measured on the validation rows at the end.
        """
        if not self.is_first:
            return done
        ready, seed, path = self.ready, self.ready.settings.seed, self.ready.out / ANSWERS
        found: dict[str, object] = {"forgetting_not_measured": self.not_watched}
        if self.exam:
            found["answers"] = self.exam.end(ready.net, ready.reader, title="Answers after training", seed=seed, file=path)
        if self.sheets and done.mixture:
            last = _answer_tasks(ready, self.sheets, is_tuned=True)
            scores = score_sheets(self.sheets, self.marks, last, seed=seed)
            found["mixture"] = done.mixture.model_copy(update={"scores": scores})
            write_lines(path, answers_told(self.sheets, self.marks, last))
        if self.watch:
            found["forgetting"] = self.watch.end(ready.net, ready.reader, comes_off=ready.settings.method in _TAKEN_OFF)
        if self.vectors and isinstance(ready.net, HeadedNetwork):
            found["vectors"] = self.vectors.end(ready.net, ready.reader)
        key = ready.key(ready.rows.validation)
        if key and kept:
            write_lines(path, key.told(kept.answers, ready.reader))
        if ready.rows.test:
            found["test"] = self._tested()
        return done.model_copy(update=found)

    def _tested(self) -> TestScores:
        """What the test rows say of the end."""
        ready, settings, path = self.ready, self.ready.settings, self.ready.out / "test_answers.jsonl"
        assert settings.test is not None
        items = ready.rows.test
        measured, key = ready.measure_on(items), ready.key(items)
        if key:
            write_lines(path, key.told(measured.answers, ready.reader))
        return TestScores(
            file=settings.test,
            rows=len(key.right) if key else len(items),
            loss=measured.loss,
            accuracy=measured.accuracy,
            answers=self.test.end(
                ready.net, ready.reader, title="Answers to test rows after training", seed=settings.seed, file=path
            )
            if self.test
            else (),
            scores=key.score(measured.answers, metric=settings.metric, seed=settings.seed) if key else (),
            unseen=ready.rows.unseen,
        )


def take_down(ready: Ready, *, is_first: bool) -> BeforeAfter:
    """Ask everything of the base; nothing in processes other than the first.

    Raises:
        Usage: a promise is asked for that this run cannot make.
    """
    settings = ready.settings
    if settings.may_lose is not None:
        _require_promise(ready)
    if not is_first:
        return BeforeAfter(ready, is_first=False)
    found = BeforeAfter(ready)
    if ready.tasks and settings.answers:
        found.sheets = make_sheets(ready.tasks.tasks, ready.tasks.putter)
        found.marks = _answer_tasks(ready, found.sheets, is_tuned=False)
    elif ready.objective.name == "completion" and not ready.tasks:
        title, begin = "Answers of the base", partial(Exam.begin, ready.net, most=settings.answers, metric=settings.metric)
        found.exam = begin(ready.rows.validation, ready.reader, title=title)
        found.test = begin(ready.rows.test, ready.reader, title=f"{title} to test rows")
    found.not_watched = _not_watched(ready)
    if found.not_watched is None and isinstance(ready.net, HeadedNetwork):
        found.vectors = begin_vector_watch(ready.net, ready.reader, settings)
    elif found.not_watched is None:
        found.watch = begin_watch(ready.net, ready.reader, ready.objective, ready.rows.validation, settings)
    return found


def _not_watched(ready: Ready) -> str | None:
    if not ready.settings.retain:
        return "No retained tasks were asked for (--retain)."
    if not (can_be_watched(ready.net) or isinstance(ready.net, HeadedNetwork)):
        return "Retained tasks are of models that write texts and of encoders with a head; this one fills masks."
    return None


def _require_promise(ready: Ready) -> None:
    settings = ready.settings
    if (because := _not_watched(ready)) is not None:
        raise Usage(f"--may-lose is a promise about retained tasks. {because}")
    if settings.method in _NO_DIAL:
        raise Usage(
            f"'{settings.method}' has no position between base and result, so nothing can be turned down. Choose lora or full."
        )


def _answer_tasks(ready: Ready, sheets: Sequence[Sheet], *, is_tuned: bool) -> list[Marks]:
    """Marked answers to the evaluated rows of every task."""
    assert ready.tasks is not None
    title = "Tasks after training" if is_tuned else "Tasks before training"
    return answer_sheets(ready.net, ready.reader, ready.tasks.putter, sheets, is_tuned=is_tuned, title=title)
