"""Prompt templates: how a row is put to a model that answers in words, and how the answer is written.

A template is data, in TOML: hone's own stand in `prompts/`, one file per task shape, and `read_templates` reads the user's.
Each is tried out when it is read, so that none fails in the middle of a run. The prompt never ends with a blank, because
tokenizers take a blank and the word after it together; the separator carries it. The one surprise: in an inverted template
`text` is what is read there, the row's answer, and `answer` what is written, the row's text. `pair` and `shot` swap the two
by themselves; `render` and `answer_of` take them as the template names them.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from hone.core.errors import BadData, Usage, did_you_mean
from hone.core.store import digest_text
from hone.task.kinds import SHAPES, TaskShape
from hone.task.prompt_language import CannotFill, fill, find_fault, names_in

__all__ = ["SHAPES", "TaskShape", "Template", "bundled_templates", "few_shot_prompt", "read_templates"]

_PROMPTS = Path(__file__).parent / "prompts"
_READ = frozenset({"text", "options", "letters"})
_WRITTEN = frozenset({"answer", "options", "letters", "index"})
_KEYS = ("shape", "name", "version", "instruction", "prompt", "answer", "separator", "inverted")
_TRIAL_TEXT = "A trial {{ text }} with {% marks %}\nand a second line."
_TRIAL_OPTIONS = ("the first trial option", "the second trial option", "the third trial option")


@dataclass(frozen=True)
class Template:
    """One way to ask. `prompt` and `answer` are Jinja; what they may name stands beside them."""

    name: str
    """Unique within its shape."""
    version: int
    shape: TaskShape
    prompt: str
    """Of text, options (a list, which may be empty) and letters (A, B, ... for each option)."""
    answer: str
    """Of answer, options, letters and index: the place of the answer among the options from 0, None where it is none."""
    shows_options: bool
    """Whether the options stand in what the model reads; it cannot be written without them then."""
    is_inverted: bool
    """The model writes the row's text from its answer: for training mixtures only, never for answering."""
    separator: str
    """Blanks between the prompt and an answer that follows it."""
    instruction: str | None = None
    """Said once before everything else, also where several solved examples follow; of options and letters alone."""

    @property
    def id(self) -> str:
        """The name that stands in records: 'summarization/plain.v1'."""
        return f"{self.shape}/{self.name}.v{self.version}"

    @property
    def digest(self) -> str:
        """SHA-256 over everything that decides what is written."""
        return digest_text(self.id, self.instruction or "", self.prompt, self.answer, self.separator)

    def render(self, text: str, *, options: Sequence[str] = ()) -> str:
        """What the model reads, without the answer: the instruction, a blank line, the prompt.

        Raises:
            Usage: the template shows options, and there are none.
        """
        return "\n\n".join(part for part in (self._instructed(options), self._asked(text, options)) if part)

    def answer_of(self, answer: str, *, options: Sequence[str] = ()) -> str:
        """What the model should write. Where options are numbered, `answer` is the text of one, not its letter.

        Raises:
            BadData: the template writes the letter or place of the answer, and it is none of the options.
        """
        index = next((place for place, option in enumerate(options) if option == answer), None)
        if index is None and _names_index(self.answer):
            raise BadData(
                f"The template {self.id} writes which option is right, and '{answer[:60]}' is none of the {len(options)}."
            )
        values = {"answer": answer, "options": list(options), "letters": list(_letters(len(options))), "index": index}
        return self._filled(self.answer, values).strip()

    def pair(self, text: str, answer: str, *, options: Sequence[str] = ()) -> tuple[str, str]:
        """What is read and what is written for a row to train on; an inverted template swaps the row's text and answer."""
        read, written = (answer, text) if self.is_inverted else (text, answer)
        return self.render(read, options=options), self.answer_of(written, options=options)

    def shot(self, text: str, answer: str, *, options: Sequence[str] = ()) -> str:
        """A solved example as it stands in a few-shot prompt: without the instruction; swapped where the template is inverted."""
        read, written = (answer, text) if self.is_inverted else (text, answer)
        return f"{self._asked(read, options)}{self.separator}{self.answer_of(written, options=options)}"

    def _asked(self, text: str, options: Sequence[str]) -> str:
        """The prompt alone."""
        return self._written(self.prompt, options, {"text": text}).rstrip()

    def _instructed(self, options: Sequence[str]) -> str:
        return self._written(self.instruction or "", options, {}).strip()

    def _written(self, source: str, options: Sequence[str], values: Mapping[str, object]) -> str:
        if self.shows_options and not options:
            raise Usage(f"The template {self.id} shows the options, and none are given. Give options, or take another template.")
        return self._filled(source, {**values, "options": list(options), "letters": list(_letters(len(options)))})

    def _filled(self, source: str, values: Mapping[str, object]) -> str:
        try:
            return fill(source, values)
        except CannotFill as error:
            raise BadData(f"The template {self.id} {error}. Correct the template.") from None


def few_shot_prompt(
    template: Template,
    shots: Sequence[tuple[str, str, Sequence[str]]],
    text: str,
    *,
    options: Sequence[str] = (),
    instruction: str | None = None,
) -> str:
    """The instruction once, the solved examples, then the question, with a blank line between each.

    What stands before the question is the same for all questions with the same shots (and, where the instruction lists
    the classes, the same classes), so that an engine reads it once.

    Args:
        shots: text, answer and options of each solved example. instruction: taken as it is, in place of the template's own;
            an empty one leaves it out.
    Raises:
        Usage: the template is inverted, or shows options and there are none.
    """
    if template.is_inverted:
        raise Usage(
            f"The template {template.id} is inverted: it asks for the text, not for the answer. Take one that asks for it."
        )
    first = template._instructed(options) if instruction is None else instruction.strip()
    solved = [template.shot(shown, answer, options=among) for shown, answer, among in shots]
    return "\n\n".join([*([first] if first else []), *solved, template._asked(text, options)])


@cache
def bundled_templates(shape: TaskShape, *, inverted: bool = False) -> tuple[Template, ...]:
    """hone's own templates for a shape, in the order of their file: those that ask for the answer, or the inverted ones alone.

    Raises:
        Usage: no such shape.
    """
    if shape not in SHAPES:
        raise Usage(f"The task shape '{shape}' is not known. {did_you_mean(shape, SHAPES)}")
    return tuple(one for one in read_templates(_PROMPTS / f"{shape}.toml") if one.is_inverted == inverted)


def read_templates(path: Path) -> tuple[Template, ...]:
    """The templates of a TOML file, each tried out.

    The file has a `shape` and `[[template]]` tables with `name` and `prompt`, and where they differ from the usual `version`
    (1), `answer` ("{{ answer }}"), `separator` (a line break), `instruction`, `inverted` (false), or a `shape` of their own.
    Raises:
        BadData: it cannot be read, or a template cannot be used; all of them are told at once, with the reason.
    """
    try:
        loaded = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise BadData(f"The templates {path} cannot be read: {error.strerror}. Check the path.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadData(f"{path} is not valid TOML: {error}. Correct the file.") from None
    tables = loaded.get("template")
    strange = sorted(loaded.keys() - {"shape", "template"})
    if strange or not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        what = f"has the key '{strange[0]}', which is not known" if strange else "has no [[template]] tables"
        raise BadData(f"{path} {what}. It needs a `shape`, and a [[template]] with `name` and `prompt` for each template.")
    made: list[Template] = []
    problems: list[str] = []
    for number, table in enumerate(tables, 1):
        given = {"shape": loaded.get("shape"), **table}
        who = f"{path}: template '{given['name']}'" if isinstance(given.get("name"), str) else f"{path}: template number {number}"
        try:
            made.append(_made(given, taken={one.id.rpartition(".")[0] for one in made}))
        except BadData as error:
            problems.append(f"{who} {error}.")
    if problems:
        raise BadData("\n".join(problems))
    return tuple(made)


def _made(given: dict[str, Any], *, taken: set[str]) -> Template:
    """One template, or `BadData` with a clause that says what it does."""
    given = {"version": 1, "answer": "{{ answer }}", "separator": "\n", "inverted": False, "instruction": None, **given}
    if strange := sorted(given.keys() - set(_KEYS)):
        raise BadData(f"has the key '{strange[0]}', which is not known. {did_you_mean(strange[0], _KEYS).rstrip('.')}")
    for key in ("name", "prompt"):
        if not given.get(key):
            raise BadData(f"has no {key}")
    for key, kind in (("name", str), ("prompt", str), ("answer", str), ("separator", str), ("inverted", bool), ("version", int)):
        if type(given[key]) is not kind:
            raise BadData(f"has {given[key]!r} as its {key}, which is no {kind.__name__}")
    if given["instruction"] is not None and type(given["instruction"]) is not str:
        raise BadData(f"has {given['instruction']!r} as its instruction, which is no str")
    if given["shape"] not in SHAPES:
        raise BadData(f"has the shape {given['shape']!r}. Known: {', '.join(SHAPES)}")
    if not given["name"].replace("_", "a").isalnum() or f"{given['shape']}/{given['name']}" in taken:
        raise BadData("needs a name of its own, in letters, digits and _")
    if given["separator"].strip():
        raise BadData(
            f"has the separator {given['separator']!r}; it may hold blanks and line breaks only. Write words into the prompt"
        )
    sources = {key: (given[key] or "").strip("\n") for key in ("instruction", "prompt", "answer")}
    if sources["prompt"] != sources["prompt"].rstrip():
        raise BadData("has a prompt that ends with a blank. Write the blank into the separator")
    _check_sources(sources, given["shape"])
    template = Template(
        name=given["name"],
        version=given["version"],
        shape=given["shape"],
        prompt=sources["prompt"],
        answer=sources["answer"],
        shows_options="options" in names_in(sources["prompt"]) | names_in(sources["instruction"]),
        is_inverted=given["inverted"],
        separator=given["separator"],
        instruction=sources["instruction"] or None,
    )
    try:
        _try(template)
    except BadData as error:
        raise BadData(str(error).removeprefix(f"The template {template.id} ").removesuffix(". Correct the template.")) from None
    return template


def _check_sources(sources: Mapping[str, str], shape: TaskShape) -> None:
    known = {"instruction": _READ - {"text"}, "prompt": _READ, "answer": _WRITTEN}
    for key, source in sources.items():
        if fault := find_fault(source, known[key]):
            raise BadData(f"{fault}, in its {key}")
    if shape != "classification" and names_in(sources["instruction"]):
        raise BadData(
            "has an instruction that names the options. Outside classification they differ from row to row: name them in its prompt"
        )


def _try(template: Template) -> None:
    """Write the template out for made-up rows: what only shows then."""
    needs = template.shows_options or bool(names_in(template.answer) - {"answer"})
    for options in (_TRIAL_OPTIONS,) if needs else (_TRIAL_OPTIONS, ()):
        if _TRIAL_TEXT not in template.render(_TRIAL_TEXT, options=options):
            raise BadData("leaves out {{ text }}, so the model would read none of the row")
        answers = [template.answer_of(option, options=options) for option in _TRIAL_OPTIONS]
        if len({answer for answer in answers if answer}) < len(answers):
            raise BadData("writes the same answer whatever is right. Name {{ answer }} or {{ index }} in its answer")


@cache
def _letters(count: int) -> tuple[str, ...]:
    """A to Z, then AA, AB and so on, as in a spreadsheet."""
    return tuple(chr(65 + place) if place < 26 else _letters(place // 26)[-1] + chr(65 + place % 26) for place in range(count))


@lru_cache(maxsize=512)
def _names_index(source: str) -> bool:
    return "index" in names_in(source)
