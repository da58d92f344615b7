"""Reads the catalogue from its TOML files: lines of models, in which a model says only what its line does not say for it."""

import difflib
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hone.catalogue.records import CatalogueEntry, Licence
from hone.core.errors import Usage

__all__ = ["find_entries", "language_code", "languages_named", "read_catalogue", "read_entries", "read_licences"]

_DATA = Path(__file__).parent / "data"
_LINES = ("encoders", "embedders", "decoders", "encoder-decoders")
_SCORE = ("benchmark", "value", "setting", "source")


def _load(name: str) -> dict[str, Any]:
    return tomllib.loads((_DATA / f"{name}.toml").read_text(encoding="utf-8"))


@cache
def read_licences() -> dict[str, Licence]:
    """Every licence that the catalogue knows, by its id on the Hub."""
    return {name: Licence.model_validate({"id": name, **fields}) for name, fields in _load("licences").items()}


@cache
def read_catalogue() -> tuple[CatalogueEntry, ...]:
    """All models, by family and line, in the order of the files."""
    return tuple(entry for name in _LINES for entry in read_entries(_load(name)["line"]))


def read_entries(lines: list[dict[str, Any]]) -> list[CatalogueEntry]:
    """The models of some lines.

    Args:
        lines: as TOML gives them: what all models of the line share, and `model`, a list with what each says itself.
    Raises:
        AssertionError: a file that hone ships is wrong; says which model.
    """
    made = []
    for line in lines:
        shared = {key: value for key, value in line.items() if key not in ("model", "name")} | {"line": line["name"]}
        for model in line["model"]:
            fields = shared | model
            try:
                made.append(CatalogueEntry.model_validate(_resolved(fields)))
            except (ValidationError, KeyError, ValueError) as error:
                raise AssertionError(f"the catalogue's entry {fields.get('name')} is wrong: {error}") from error
    return made


def _resolved(fields: dict[str, Any]) -> dict[str, Any]:
    """Names of licences and of lists of languages replaced by what they stand for, and scores by records."""
    languages = fields.get("languages", [])
    if isinstance(languages, str):
        languages = _languages()["lists"][languages].split()
    licence = fields.get("licence")
    return fields | {
        "languages": tuple(languages),
        "licence": None if licence is None else read_licences()[licence],
        "scores": tuple(dict(zip(_SCORE, score, strict=True)) for score in fields.get("scores", [])),
    }


@cache
def _languages() -> dict[str, dict[str, str]]:
    return _load("languages")


def language_code(name: str) -> str:
    """The ISO code of a language: 'de' for 'de', 'DE' or 'German'.

    Raises:
        Usage: no model of the catalogue names it.
    """
    asked = " ".join(name.lower().split())
    code = _languages()["names"].get(asked, asked)
    known = {language for entry in read_catalogue() for language in entry.languages}
    if code in known:
        return code
    near = difflib.get_close_matches(asked, [*_languages()["names"], *known], n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    raise Usage(
        f"No model of the catalogue names the language '{name}'.{hint} Give an ISO code such as de, or a name such as German."
    )


_OFTEN_NO_LANGUAGE = frozenset({"latin"})  # Latin America, the Latin alphabet


def languages_named(text: str) -> tuple[str, ...]:
    """The ISO codes of the languages that a text names with a capital letter, as English does: 'de' for 'sort German mails'.

    Names of one word only, and not those that as often name something else.
    """
    words = (word.strip(".,;:!?()'\"").removesuffix("'s") for word in text.split())
    parts = (part for word in words for part in word.split("-"))
    named = (
        _languages()["names"].get(part.lower()) for part in parts if part[:1].isupper() and part.lower() not in _OFTEN_NO_LANGUAGE
    )
    return tuple(dict.fromkeys(code for code in named if code))


def find_entries(name: str) -> tuple[CatalogueEntry, ...]:
    """The models that a name stands for: one by its id, its alias or the last part of its id, or all of a line; else none."""
    asked = name.strip().lower()
    entries = read_catalogue()
    for fits in (
        lambda entry: asked in (entry.name.lower(), *entry.aliases),
        lambda entry: asked == entry.name.lower().rpartition("/")[2],
        lambda entry: asked == entry.line.lower(),
    ):
        if found := tuple(entry for entry in entries if fits(entry)):
            return found
    return ()
