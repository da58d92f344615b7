"""What the rows are, how many, how long: read from the data, or from a sentence about them."""

import random
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from hone.catalogue import is_on_this_machine, locate_model
from hone.core.errors import BadModel, NotEnough, Usage
from hone.measure import quantile
from hone.model import TextReader, load_reader
from hone.plan.records import PlanSettings, Survey
from hone.plan.rules import FITTING
from hone.task import Choice, Completion, Dialogue, Example, Passage, Tagged, load_material

__all__ = ["described", "surveyed", "tokeniser_of"]

_LOOKED_AT = 1_000
_LETTERS = 4.0  # per token: an assumption that is told with the number
_KINDS = {
    "classify": r"classif|categor|label|sort|route|intent|sentiment|triage|topic",
    "tag": r"\btag|entit|\bner\b|part.of.speech",
    "answers": r"question|answer",
    "completion": r"summar|translat|rewrit|generat|write|extract|paraphras",
    "chat": r"chat|dialog|assistant",
    "plain": r"pretrain|corpus|books|plain text",
}
_TIMES = {"": 1, "k": 1_000, "thousand": 1_000, "m": 1_000_000, "million": 1_000_000}
_ROWS = re.compile(
    r"(\d[\d,.]*)\s*(k\b|thousand\b|m\b|million\b)?\s*(?:\w+\s){0,2}?"
    r"(?:rows|examples|tickets|texts|dialogues|documents|pairs|records|reviews)",
    re.I,
)
_LABELS = re.compile(r"(\d+)\s*(?:\w+\s)?(?:classes|labels|categories|intents|topics|choices)", re.I)
_TOKENS = re.compile(r"(\d[\d,]*)\s*(?:words|tokens)", re.I)


def tokeniser_of(model: str) -> TextReader | None:
    """The reader of a model that is on this machine; None where it is not, so that nothing is downloaded for a plan."""
    if not is_on_this_machine(model):
        return None
    try:
        return load_reader(locate_model(model))
    except BadModel:
        return None


def surveyed(settings: PlanSettings) -> Survey:
    """Read the rows of `settings.data`, and count their tokens with the model's tokenizer, with the starter's, or by their letters.

    Raises:
        BadData: they cannot be read. NotEnough: there are none.
    """
    assert settings.data is not None
    material = load_material(
        settings.data,
        kind=settings.kind,
        prompt=settings.prompt,
        completion=settings.completion,
        text=settings.text,
        label=settings.label,
    )
    if not material.rows:
        raise NotEnough(
            f"{settings.data} has no usable row. A plan needs at least one; describe the task with --describe instead."
        )
    rows = list(material.rows)
    some = random.Random(settings.seed).sample(rows, min(_LOOKED_AT, len(rows)))
    texts = [_texts(row) for row in some]
    own = tokeniser_of(settings.model) if settings.model else None
    reader = own or tokeniser_of("starter/encoder")
    read, answers, words = _lengths(texts, reader, most=own.context_length if own else None)
    classes = Counter(row.label for row in rows if isinstance(row, Example))
    return Survey(
        kind=material.kind,
        because=material.because,
        rows=len(rows),
        rejected=len(material.rejected),
        labels=len(classes)
        or (max(len(row.choices) for row in rows if isinstance(row, Choice)) if material.kind == "choice" else None),
        fewest=min(classes.values()) if classes else None,
        mean_tokens=sum(read) / len(read),
        longest_tokens=max(2, round(quantile(read, 0.99))),
        answer_tokens=max(1.0, sum(answers) / len(answers)),
        words=words,
        counted_with=f"{_counter(own, reader)}, on {len(some):,} rows",
    )


def _texts(row: Any) -> tuple[str, str]:
    """What is read and what is answered."""
    if isinstance(row, Completion):
        return row.prompt, row.completion
    if isinstance(row, Dialogue):
        said = [message.content for message in row.messages]
        return "\n".join(said[:-1]), said[-1]
    if isinstance(row, Tagged):
        return " ".join(row.tokens), ""
    if isinstance(row, Passage):
        return f"{row.question}\n{row.context}", next(iter(row.answers), "")
    if isinstance(row, Choice):
        return "\n".join((row.question, *row.choices)), row.choices[row.answer]
    return str(row.text), ""


def _counter(own: TextReader | None, reader: TextReader | None) -> str:
    if reader is None:
        return f"an assumed {_LETTERS:.0f} letters a token"
    return "the model's tokenizer" if own is not None else "the starter's tokenizer"


def _lengths(
    texts: Sequence[tuple[str, str]], reader: TextReader | None, *, most: int | None
) -> tuple[list[float], list[float], int | None]:
    """Tokens read per row (answers included, at most so many), tokens of the answers, and how many words of the vocabulary occur."""
    if reader is None:
        answers = [len(answer) / _LETTERS for _, answer in texts]
        return [len(text) / _LETTERS + more + 2 for (text, _), more in zip(texts, answers, strict=True)], answers, None
    ids = reader.tokenizer([text for text, _ in texts], truncation=False, verbose=False)["input_ids"]
    more = reader.tokenizer([answer for _, answer in texts], add_special_tokens=False, verbose=False)["input_ids"]
    read = [len(one) + len(two) for one, two in zip(ids, more, strict=True)]
    cut = [float(min(one, most or one)) for one in read]
    return cut, [float(len(one)) for one in more], len({token for one in ids for token in one})


def described(text: str, answers: dict[str, str]) -> tuple[Survey, tuple[str, ...]]:
    """A survey from words, and what had to be assumed.

    Args:
        answers: to the questions that were asked, and options, by name: kind, rows, tokens.
    Raises:
        Usage: the words are none, or an answer means nothing.
    """
    if not text.strip():
        raise Usage(
            '--describe is empty. Say what the model is to do, and on how many rows: --describe "sort 800 tickets into 12 classes".'
        )
    assumed: list[str] = []
    kind = answers.get("kind") or next((name for name, words in _KINDS.items() if re.search(words, text, re.I)), None)
    if kind is None:
        kind = "classify"
        assumed.append("The description names no task that hone knows by its words; sorting texts into classes was assumed.")
    if kind not in FITTING:
        raise Usage(f"The kind '{kind}' is not known. Known: {', '.join(FITTING)}.")
    rows = _number(answers.get("rows"), "rows") or _found(_ROWS, text)
    if rows is None:
        rows = 500
        assumed.append("No number of rows was given; 500 were assumed.")
    tokens = _number(answers.get("tokens"), "tokens") or _found(_TOKENS, text)
    if tokens is None:
        tokens = 200 if kind in ("completion", "chat", "plain", "answers") else 40
        assumed.append(f"No length was given; {tokens} tokens a row were assumed.")
    labels = _found(_LABELS, text) if kind in ("classify", "choice") else None
    if labels is None and kind == "classify":
        labels = 5
        assumed.append("No number of classes was given; 5 were assumed, with as many rows each.")
    if labels is None and kind == "choice":
        labels = 4
        assumed.append("No number of choices was given; 4 were assumed.")
    return (
        Survey(
            kind=kind,
            because="From the description.",
            rows=rows,
            labels=labels,
            fewest=rows // labels if labels and kind == "classify" else None,
            mean_tokens=float(tokens),
            longest_tokens=2 * tokens,
            answer_tokens=1.0 if labels else tokens / 4,
            counted_with="the description",
        ),
        tuple(assumed),
    )


def _found(pattern: re.Pattern[str], text: str) -> int | None:
    match = pattern.search(text)
    if match is None:
        return None
    times = _TIMES[(match[2] or "").lower()] if pattern is _ROWS else 1
    if times == 1:
        return int(re.sub(r"[,.]", "", match[1])) or None
    number = re.sub(r"^(\d+),(\d{1,2})$", r"\1.\2", match[1]).replace(",", "")  # 1,5k as it is written elsewhere
    whole, _, part = number.partition(".")
    return round(float(f"{whole}.{re.sub(r'[.]', '', part)}") * times) or None


def _number(text: str | None, what: str) -> int | None:
    if text is None or not text.strip():
        return None
    digits = text.strip().replace(",", "")
    if not digits.isdigit() or int(digits) < 1:
        raise Usage(f"'{text}' is no number of {what}. Write a whole number above 0, such as 800.")
    return int(digits)
