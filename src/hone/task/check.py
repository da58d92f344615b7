"""What a person should know about the rows before money is spent on them; each function looks at one thing.

Pure functions from examples to findings. Only `remove_leaks` takes rows out, and says which.
The duplicates before the split are found in `duplicates`, likely wrong labels in `mislabels`.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

from hone.core.errors import BadData
from hone.task.duplicates import text_key
from hone.task.near import NEAR_SHARE, nearest_copies, shingle_similarity
from hone.task.passages import LEAST_LETTERS
from hone.task.records import Example, Finding, Rejected, Split
from hone.task.shingles import Common, common_shingles
from hone.task.split import split_digest
from hone.task.wording import counted

__all__ = ["class_balance", "long_texts", "near_duplicates", "rejected_rows", "remove_leaks"]

_PLACES = 20
_UNEVEN_RATIO = 10
_FEW_ROWS = 10
_SHOWN_CLASSES = 6
_LARGE_SHARE = 0.2


def rejected_rows(rejected: Sequence[Rejected]) -> Finding | None:
    """The rows that were set aside while reading, counted by reason."""
    if not rejected:
        return None
    counts = Counter(row.reason.split(":")[0] for row in rejected)
    kinds = ", ".join(f"{reason} ({count})" for reason, count in counts.most_common())
    return Finding(
        kind="rejected_row",
        severity="removed",
        message=f"{counted(len(rejected), 'row')} that cannot be used left out: {kinds}.",
        count=len(rejected),
        places=tuple(f"{row.file} line {row.line}: {row.reason}" for row in rejected[:_PLACES]),
    )


def near_duplicates(examples: Sequence[Example]) -> Finding | None:
    """Rows that nearly repeat an earlier row (Jaccard similarity of shingles at least 0.7). Nothing is removed."""
    copies = _beyond_passages(nearest_copies([example.asked for example in examples]), examples, examples, earlier=True)
    if not copies:
        return None
    places = tuple(f"{examples[later].place} is like line {examples[earlier].line}" for later, earlier in copies.items())
    return Finding(
        kind="near_duplicate",
        severity="info",
        message=f"{len(copies)} of {counted(len(examples), 'row')} nearly the same as an earlier row "
        f"(at least {NEAR_SHARE:.0%} of shingles shared); kept.",
        count=len(copies),
        places=places[:_PLACES],
    )


def remove_leaks(split: Split, *, is_labelled: bool = True) -> tuple[Split, list[Finding]]:
    """Take out of training and validation the rows that stand, exactly or nearly, in a part that judges them.

    Test rows are never removed. Training and validation are held against the test, training also against validation.
    Of a multiple choice the choices count too: one question with other choices is another row.
    What a tenth of all rows have in common, such as an instruction, makes no row a copy of another.

    Args:
        is_labelled: whether labels are classes, of which each needs a training row.
    Returns:
        The split without leaks under its new digest, and one finding per pair of parts that shared rows; and a warning
        where more than a fifth of the training rows went.
    Raises:
        BadData: a class would have no training row left, or validation no row.
    """
    common = common_shingles([example.asked for part in (split.train, split.validation, split.test) for example in part])
    validation, by_test = _without(split.validation, split.test, "validation", "test", common=common)
    train, from_test = _without(split.train, split.test, "training", "test", common=common)
    train, from_validation = _without(train, validation, "training", "validation", common=common)
    many = _many_gone(split.train, len(split.train) - len(train))
    told = (from_test, by_test, from_validation, many, _shared_passages(train, split.test))
    findings = [finding for finding in told if finding is not None]
    if not findings:
        return split, []
    if not validation:
        raise BadData(
            f"All {len(split.validation)} validation rows repeat test rows, exactly or nearly. The choice between strategies "
            "needs rows of its own. Give other validation rows, or none: they are then taken from the training rows."
        )
    lost = sorted({example.label for example in split.train} - {example.label for example in train}) if is_labelled else []
    if lost:
        raise BadData(
            f"Every training row of {', '.join(repr(label) for label in lost[:10])} repeats a validation or test row, "
            f"exactly or nearly ({findings[0].places[0]}). A class cannot be learned without rows of its own. "
            "Add different rows, or take the class out."
        )
    digest = split_digest(train, validation, split.test)
    return Split(train=train, validation=validation, test=split.test, digest=digest), findings


def _many_gone(train: list[Example], gone: int) -> Finding | None:
    """A warning where a large share of the training rows repeats the rows that judge them: the rows are hardly independent."""
    if gone <= _LARGE_SHARE * len(train):
        return None
    return Finding(
        kind="leak",
        severity="warning",
        message=f"{gone} of {counted(len(train), 'training row')} ({gone / len(train):.0%}) left out as copies of validation or "
        "test rows. Rows made from one source do this, such as questions about one passage: name the column that tells the sources apart "
        "with --group.",
        count=gone,
    )


def _without(
    rows: list[Example], references: list[Example], name: str, reference_name: str, *, common: Common
) -> tuple[list[Example], Finding | None]:
    first: dict[bytes, int] = {}
    for index, example in enumerate(references):
        first.setdefault(text_key(example.asked), index)
    exact = {index: first[key] for index, example in enumerate(rows) if (key := text_key(example.asked)) in first}
    rest = [index for index in range(len(rows)) if index not in exact]
    left = [rows[index] for index in rest]
    near = nearest_copies([example.asked for example in left], [example.asked for example in references], common=common)
    near = _beyond_passages(near, left, references)
    copies = exact | {rest[index]: match for index, match in near.items()}
    if not copies:
        return rows, None
    places = [
        f"{rows[index].place} is in the {reference_name} rows ({references[copies[index]].place})" for index in sorted(copies)
    ]
    finding = Finding(
        kind="leak",
        severity="removed",
        message=f"{counted(len(copies), f'{name} row')} left out, the same as {reference_name} rows: "
        f"{len(exact)} exactly, {len(near)} nearly.",
        count=len(copies),
        places=tuple(places[:_PLACES]),
    )
    return [example for index, example in enumerate(rows) if index not in copies], finding


def _beyond_passages(
    copies: dict[int, int], rows: Sequence[Example], references: Sequence[Example], *, earlier: bool = False
) -> dict[int, int]:
    """Of near copies those that are alike beyond a passage which they share: another question on one passage is another row.

    Args:
        copies: index in `rows` to index in `references`. earlier: whether both are one list, of which only what comes before counts.
    """
    of_passage: defaultdict[str, list[int]] = defaultdict(list)
    for index, example in enumerate(references):
        if _asked_of_passage(example) is not None:
            of_passage[example.group or ""].append(index)
    kept = {}
    for index, match in copies.items():
        question, group = _asked_of_passage(rows[index]), rows[index].group
        if question is None or references[match].group != group:
            kept[index] = match
            continue
        for other in of_passage[group or ""]:
            if (not earlier or other < index) and shingle_similarity(
                question, _asked_of_passage(references[other]) or ""
            ) >= NEAR_SHARE:
                kept[index] = other
                break
    return kept


def _shared_passages(train: Sequence[Example], test: Sequence[Example]) -> Finding | None:
    """Training rows that ask something else about a passage of the test: where in use all passages are new, the test is easier."""
    passages = {example.group for example in test if _asked_of_passage(example) is not None}
    shared = [example for example in train if example.group in passages]
    if not shared:
        return None
    return Finding(
        kind="near_duplicate",
        severity="info",
        message=f"{counted(len(shared), 'training row')} with another question on a passage of the test rows; kept. Where all passages are "
        "new in use, this test is easier.",
        count=len(shared),
        places=tuple(example.place for example in shared[:_PLACES]),
    )


def _asked_of_passage(example: Example) -> str | None:
    """What a row asks beyond the passage that its group is; None where its group is none of its text."""
    if not example.group or len(example.group) < LEAST_LETTERS or example.group not in example.text:
        return None
    return example.asked.replace(example.group, "", 1)


def class_balance(examples: Sequence[Example]) -> list[Finding]:
    """How many rows each class has: always one `class_balance` finding, and `rare_class` for those with fewer than 10 rows.

    A warning when the largest class has more than ten times the rows of the smallest: accuracy then hides the small ones.
    """
    counts = Counter(example.label for example in examples).most_common()
    if not counts:
        return []
    (most, largest), (least, smallest) = counts[0], counts[-1]
    ratio = largest / smallest
    shown = ", ".join(f"{label} {count}" for label, count in counts[:_SHOWN_CLASSES])
    more = f", ... {least} {smallest}" if len(counts) > _SHOWN_CLASSES else ""
    is_uneven = ratio > _UNEVEN_RATIO
    advice = f" '{most}' has {ratio:.0f} times as many as '{least}': read macro F1, not accuracy." if is_uneven else ""
    findings = [
        Finding(
            kind="class_balance",
            severity="warning" if is_uneven else "info",
            message=f"{len(counts)} classes, {len(examples)} rows: {shown}{more}; largest to smallest {ratio:.1f} to 1.{advice}",
            count=len(counts),
        )
    ]
    rare = [(label, count) for label, count in counts if count < _FEW_ROWS]
    if rare:
        places = tuple(f"{label}: {count} rows" for label, count in reversed(rare))
        findings.append(
            Finding(
                kind="rare_class",
                severity="warning",
                message=f"{len(rare)} of {len(counts)} classes have fewer than {_FEW_ROWS} rows: "
                "what is said about them is mostly chance.",
                count=len(rare),
                places=places[:_PLACES],
            )
        )
    return findings


def long_texts(examples: Sequence[Example], token_counts: Sequence[int], context_length: int) -> Finding | None:
    """Rows that do not fit the model and would be cut.

    Args:
        token_counts: tokens per row, with special tokens, same order. context_length: what the model takes, in tokens.
    Returns:
        A warning when more than 1% of the rows would be cut, else info; None when all fit.
    """
    assert len(examples) == len(token_counts), "one token count per example"
    cut = [index for index, count in enumerate(token_counts) if count > context_length]
    if not cut:
        return None
    cut.sort(key=lambda index: -token_counts[index])
    share = len(cut) / len(examples)
    return Finding(
        kind="long_text",
        severity="warning" if share > 0.01 else "info",
        message=f"{len(cut)} of {len(examples)} texts ({share:.1%}) have more than {context_length} tokens, "
        f"up to {token_counts[cut[0]]}; their ends would be cut.",
        count=len(cut),
        places=tuple(f"{examples[index].place}: {token_counts[index]} tokens" for index in cut[:_PLACES]),
    )
