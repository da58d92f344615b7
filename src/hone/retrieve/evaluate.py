"""How good an index is at finding: questions whose document or answer is known, in every mode, with intervals and times.

Stands after `index`. The one surprise: what counts is each thing that was looked for, once. For an answer that is the first
passage that holds it; for documents, the first passage of each. So recall@5 says how often five passages are enough.
"""

import contextlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

from hone.core.console import progress, render_table
from hone.core.errors import BadData, did_you_mean
from hone.core.record import Record
from hone.core.seeds import derive_seed
from hone.measure import compared_words, quantile, ranking_interval, score_rankings
from hone.retrieve.documents import SetAside
from hone.retrieve.index import Index
from hone.retrieve.records import MODES, IndexRecord, Mode, Passage
from hone.task import Broken, open_rows

__all__ = [
    "Evaluated",
    "Indexed",
    "ModeScores",
    "Question",
    "Questions",
    "RankedScore",
    "evaluate_index",
    "holding",
    "read_questions",
    "scores_table",
]

_METRICS = ("recall@1", "recall@5", "recall@20", "mrr@10", "ndcg@10")
_DEPTH = 20
_TIMED = 100


@dataclass(frozen=True, slots=True)
class Question:
    """A question with the documents that answer it, or with answers one of which a passage must hold."""

    text: str
    documents: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Questions:
    """What a file of questions holds."""

    questions: list[Question]
    set_aside: list[SetAside]


class RankedScore(Record):
    """One metric over the questions, with its 95% interval."""

    metric: str
    signature: str
    """What was computed, with its version."""
    value: float
    low: float | None
    high: float | None
    """None where one question alone was asked."""


class ModeScores(Record):
    """How one mode did."""

    mode: Mode
    scores: tuple[RankedScore, ...]
    milliseconds: float
    """Median for one question asked alone, its embedding included."""


class Evaluated(Record):
    """A retriever's evaluation."""

    questions: int
    by: str
    """What made a passage right: the document it belongs to, or an answer it holds."""
    modes: tuple[ModeScores, ...]
    set_aside: tuple[SetAside, ...]


class Indexed(Record):
    """What `hone index --json` prints."""

    index: IndexRecord
    evaluation: Evaluated | None


def read_questions(source: str, index: Index) -> Questions:
    """Questions from a table with the columns question and document, answer or answers (a list, or one text).

    Documents are named as the index names them (docs/guide.md, table.csv#17); a row's id alone will do for an index of one table.

    Raises:
        BadData: the columns are not there, or no question can be used.
    """
    reader = open_rows(source)
    known = [name for name in ("document", "answers", "answer") if name in reader.headers]
    if "question" not in reader.headers or not known:
        raise BadData(
            f"{source} needs a column 'question' and one of 'document', 'answer', 'answers'; it has {', '.join(reader.headers)}. "
            "Rename its columns."
        )
    column = known[0]
    names = _Names(index.document_names()) if column == "document" else None
    found: list[Question] = []
    aside: list[SetAside] = []
    for row in reader.rows(("question", column)):
        line = row.line if isinstance(row, Broken) else row[0]
        try:
            if isinstance(row, Broken):
                raise BadData(row.reason)
            found.append(_question(row[1][0], row[1][1], names))
        except BadData as error:
            aside.append(SetAside(path=f"{source} line {line}", reason=str(error)))
    if not found:
        reasons = "\n".join(f"  {each.path}: {each.reason}" for each in aside[:5])
        raise BadData(f"{source} holds no question that can be used.\n{reasons}" if reasons else f"{source} holds no questions.")
    return Questions(found, aside)


def _question(text: object, cell: object, names: "_Names | None") -> Question:
    if not isinstance(text, str) or not text.strip():
        raise BadData("no question")
    several = cell if isinstance(cell, list | tuple) else _listed(cell)
    values = [each for each in dict.fromkeys(str(each).strip() for each in several if each is not None) if each]
    if names is not None:
        if not values:
            raise BadData("no document")
        return Question(text.strip(), documents=tuple(dict.fromkeys(names.whole(each) for each in values)))
    usable = tuple(each for each in values if compared_words(each))
    if not usable:
        raise BadData("no answer, or none but articles and punctuation")
    return Question(text.strip(), answers=usable)


def _listed(cell: object) -> list[object]:
    """A list written as JSON in a cell of a CSV file; any other cell stands for itself."""
    if isinstance(cell, str) and cell.strip().startswith("["):
        with contextlib.suppress(ValueError):
            return list(json.loads(cell))
    return [cell]


class _Names:
    """Documents of an index, by whole name and by the id behind the #, where that is unique."""

    def __init__(self, names: set[str]) -> None:
        self._names = names
        self._short: dict[str, list[str]] = {}
        for name in names:
            if "#" in name:
                self._short.setdefault(name.split("#", 1)[1], []).append(name)

    def whole(self, given: str) -> str:
        """The document's name as the index has it."""
        if given in self._names:
            return given
        meant = self._short.get(given, [])
        if len(meant) == 1:
            return meant[0]
        if meant:
            raise BadData(f"'{given}' is an id in several tables: {', '.join(sorted(meant)[:5])}. Write the whole name.")
        near = did_you_mean(given, self._names).split("Known:")[0].strip()
        raise BadData(f"the index holds no document '{given}'. {near}".strip())


def evaluate_index(index: Index, questions: Questions, *, modes: Sequence[Mode] = MODES, seed: int = 0) -> Evaluated:
    """Ask all questions in each mode.

    Args:
        seed: of the intervals.
    """
    asked = questions.questions
    texts = [question.text for question in asked]
    wanted = [len(question.documents) or 1 for question in asked]
    done = []
    with progress("Asking", len(modes)) as bar:
        for mode in modes:
            found = index.search(texts, k=_DEPTH, mode=mode)
            marks = [_marks(question, passages) for question, passages in zip(asked, found, strict=True)]
            scores = score_rankings(marks, wanted, _METRICS)
            ranked = []
            for name, score in scores.items():
                interval = ranking_interval(score, seed=derive_seed(seed, name)) if len(asked) > 1 else None
                low, high = (None, None) if interval is None else (interval.low, interval.high)
                ranked.append(RankedScore(metric=name, signature=score.signature, value=score.value, low=low, high=high))
            done.append(ModeScores(mode=mode, scores=tuple(ranked), milliseconds=_milliseconds(index, texts, mode)))
            bar.advance()
    by = "document" if asked[0].documents else "answer"
    return Evaluated(questions=len(asked), by=by, modes=tuple(done), set_aside=tuple(questions.set_aside))


def _marks(question: Question, passages: Sequence[Passage]) -> list[bool]:
    """Whether each passage meets something that was looked for and not met before."""
    if question.documents:
        left = set(question.documents)
        marks = []
        for passage in passages:
            marks.append(passage.document in left)
            left.discard(passage.document)
        return marks
    return holding(passages, question.answers)


def holding(passages: Sequence[Passage], answers: Sequence[str]) -> list[bool]:
    """Whether each passage is the first that holds one of the answers in whole words (SQuAD normalisation): 'art' is not in 'party'.

    Where a script puts no spaces between words, each character is one.
    """
    wanted = [f" {' '.join(compared_words(answer))} " for answer in answers]
    marks: list[bool] = []
    for passage in passages:
        text = f" {' '.join(compared_words(passage.text))} "
        marks.append(True not in marks and any(answer in text for answer in wanted))
    return marks


def _milliseconds(index: Index, texts: Sequence[str], mode: Mode) -> float:
    """Median of single questions."""
    times = []
    for text in texts[:_TIMED]:
        started = time.perf_counter()
        index.search([text], k=10, mode=mode)
        times.append(time.perf_counter() - started)
    return quantile(times, 0.5) * 1000


def scores_table(evaluated: Evaluated) -> str:
    """One row per mode; percent with the 95% interval."""
    headers = [
        "Mode",
        *(name.replace("recall", "Recall").replace("mrr", "MRR").replace("ndcg", "nDCG") for name in _METRICS),
        "ms",
    ]
    rows = [[each.mode, *map(_cell, each.scores), f"{each.milliseconds:.1f}"] for each in evaluated.modes]
    table = render_table(headers, rows, align=["left", "right", "right", "right", "right", "right", "right"])
    right = (
        "A passage is right if it belongs to the named document."
        if evaluated.by == "document"
        else "A passage is right if it holds an answer, in whole words after SQuAD normalisation."
    )
    return f"{table}\n\n{evaluated.questions:,} questions; percent with 95% interval over questions; ms: median for one question. {right}"


def _cell(score: RankedScore) -> str:
    if score.low is None or score.high is None:
        return f"{100 * score.value:.1f}"
    return f"{100 * score.value:.1f} [{100 * score.low:.0f}, {100 * score.high:.0f}]"
