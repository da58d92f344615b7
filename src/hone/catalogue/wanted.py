"""What a person asks of a model, read from words such as '8GB', '7B' and 'German', and refused where no model could ever fit."""

import re
from collections.abc import Callable, Sequence
from typing import TypeVar, get_args

from hone.catalogue.memory_needs import USES, Use
from hone.catalogue.read import language_code, read_licences
from hone.catalogue.records import Family
from hone.catalogue.suited import TASKS, find_task
from hone.core.configuration import parse_count
from hone.core.errors import Usage, did_you_mean
from hone.core.record import Record

__all__ = ["LICENCE_NEEDS", "Wanted", "breach", "parse_bytes", "read_wanted"]

LICENCE_NEEDS = {
    "commercial": "commercial use, with or without conditions",
    "unconditional": "commercial use by anybody, and no use forbidden",
    "redistribution": "passing the model on",
}
Name = TypeVar("Name", bound=str)
Value = TypeVar("Value")
_FILTERS = {
    *("task", "family", "licence", "max_memory", "use", "context", "language", "parameters", "released_after", "max_disk"),
}
_UNITS = {"": 1, "b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30, "tb": 1 << 40}


class Wanted(Record):
    """The filters. A None or an empty one filters nothing."""

    task: str | None = None
    family: Family | None = None
    licence: tuple[str, ...] = ()
    """Needs of LICENCE_NEEDS, all of which hold, and ids of licences, of which one holds."""
    max_memory: int | None = None
    """Bytes."""
    use: Use = "inference"
    """What the memory is for."""
    context: int | None = None
    """Tokens that the model must read at once."""
    languages: tuple[str, ...] = ()
    """ISO codes, all of which the authors must name."""
    min_parameters: int | None = None
    max_parameters: int | None = None
    released_after: str | None = None
    """Year and month; a model of that month passes."""
    max_disk: int | None = None
    """Bytes that the weights may take on the disk; asked for, so that an unknown size does not pass."""
    free_disk: int | None = None
    """Bytes that are free there, which nobody asked about: only weights that are known to take more do not pass."""

    @property
    def filters(self) -> tuple[str, ...]:
        """The fields that filter anything."""
        return tuple(name for name, value in self if value and name != "use")


def parse_bytes(text: str) -> int:
    """Bytes from '8GB', '512 MB' or '1.5TB', in units of 1024.

    Raises:
        Usage: it is none of these, or not above 0.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?i?b?)\s*", text, re.IGNORECASE)
    unit = match[2].lower().replace("i", "") if match else ""
    if unit in ("k", "m", "g", "t"):
        unit += "b"
    size = round(float(match[1]) * _UNITS[unit]) if match and unit in _UNITS else 0
    if size < 1:
        raise Usage(f"'{text}' is not a size. Write 8GB, 512MB or 1.5TB.")
    return size


def read_wanted(**filters: str | None) -> Wanted:
    """The filters that a command line names.

    Args:
        filters: task, family, licence, max_memory, use, context, language, parameters ('1B-8B', '-3B' or '1B-'), released_after
            and max_disk, each as a person writes it; language and licence one or several, with commas. None: not asked for.
    Raises:
        Usage: a value means nothing, or two of them contradict each other.
    """
    assert filters.keys() <= _FILTERS, f"no such filters: {filters.keys() - _FILTERS}"
    given = {name: text for name, text in filters.items() if text is not None}
    least, most = _range(given.get("parameters"))

    def read(name: str, how: Callable[[str], Value]) -> Value | None:
        return how(given[name]) if name in given else None

    wanted = Wanted(
        task=read("task", find_task),
        family=read("family", lambda text: _one_of(text, get_args(Family), "family")),
        licence=tuple(_licence_need(part) for part in _parts(given.get("licence"))),
        max_memory=read("max_memory", parse_bytes),
        use=read("use", lambda text: _one_of(text, USES, "use")) or "inference",
        context=read("context", parse_count),
        languages=tuple(dict.fromkeys(language_code(part) for part in _parts(given.get("language")))),
        min_parameters=least,
        max_parameters=most,
        released_after=read("released_after", _month),
        max_disk=read("max_disk", parse_bytes),
    )
    _refuse_contradictions(wanted)
    return wanted


def _parts(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _one_of(given: str, known: Sequence[Name], what: str) -> Name:
    asked = given.strip().lower().replace("_", "-")
    for name in known:
        if name == asked:
            return name
    raise Usage(f"The {what} '{given}' is not known. {did_you_mean(asked, known)}")


def _licence_need(text: str) -> str:
    asked = text.lower()
    if asked not in LICENCE_NEEDS and asked not in read_licences():
        raise Usage(f"The licence '{text}' is not known. {did_you_mean(asked, [*LICENCE_NEEDS, *read_licences()])}")
    return asked


def _range(text: str | None) -> tuple[int | None, int | None]:
    if text is None:
        return None, None
    low, dash, high = text.partition("-")
    if not dash or not (low.strip() or high.strip()):
        raise Usage(f"--parameters '{text}' is not a range. Write 1B-8B, or -3B for at most, or 1B- for at least.")
    return (parse_count(low) if low.strip() else None), (parse_count(high) if high.strip() else None)


def _month(text: str) -> str:
    match = re.fullmatch(r"\s*(\d{4})(?:-(\d{1,2}))?(?:-\d{1,2})?\s*", text)
    if not match or not 1 <= int(match[2] or 1) <= 12:
        raise Usage(f"--released-after '{text}' is not a month. Write 2024 or 2024-09.")
    return f"{match[1]}-{int(match[2] or 1):02d}"


def _refuse_contradictions(wanted: Wanted) -> None:
    """Filters that no model could pass, now or later."""
    least, most = wanted.min_parameters, wanted.max_parameters
    if least is not None and most is not None and least > most:
        raise Usage(f"--parameters asks for at least {least:,} and at most {most:,}. Turn them round.")
    if wanted.task and wanted.family and wanted.family not in TASKS[wanted.task].families:
        rule = TASKS[wanted.task]
        raise Usage(
            f"--task {wanted.task} and --family {wanted.family} contradict each other: {rule.others}. "
            f"For this task: {', '.join(rule.families)}."
        )
    needs = [need for need in wanted.licence if need in LICENCE_NEEDS]
    ids = [name for name in wanted.licence if name not in LICENCE_NEEDS]
    if ids and needs and all(any(breach(name, need) for need in needs) for name in ids):
        raise Usage(
            f"--licence {','.join(wanted.licence)} contradicts itself: {ids[0]} {_first_breach(ids[0], needs)}. Drop one."
        )
    if wanted.max_memory is not None and least is not None and 2 * least > wanted.max_memory:
        raise Usage(
            f"--parameters and --max-memory contradict each other: {least:,} parameters take {2 * least:,} bytes at 2 each, "
            f"and {wanted.max_memory:,} are allowed. Allow more memory, or fewer parameters."
        )


def _first_breach(name: str, needs: Sequence[str]) -> str:
    return next(why for need in needs if (why := breach(name, need)))


def breach(name: str, need: str) -> str | None:
    """Why a licence, by its id, does not give what is needed, as a clause; None where it does."""
    licence = read_licences()[name]
    if need == "redistribution":
        return "forbids passing the model on" if licence.redistribution == "no" else None
    if licence.commercial == "no":
        return "forbids commercial use"
    if need == "unconditional" and (licence.commercial != "yes" or licence.use_restrictions):
        return "sets conditions on who may use it or for what"
    return None
