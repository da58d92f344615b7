"""What a curation was asked to do: sources, steps, thresholds. The defaults are the published ones, and each can be set.

The one surprise: C4's rule that a line must end in punctuation is off, as in FineWeb, for which it alone took some 30% of the words.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from pydantic import Field, ValidationError, field_validator, model_validator

from hone.core.configuration import Form, parse_names
from hone.core.errors import Usage, did_you_mean
from hone.core.record import Record

__all__ = [
    "CURATE",
    "STEPS",
    "C4Rules",
    "CurateSettings",
    "FineWebRules",
    "NearRules",
    "QualityRules",
    "RepetitionRules",
    "StepName",
    "chosen_steps",
    "read_thresholds",
]

StepName = Literal["language", "repetition", "quality", "c4", "fineweb", "exact", "near", "overlap", "pii"]
STEPS: tuple[StepName, ...] = get_args(StepName)
"""In the order they run, which is FineWeb's: language first, so that a text in another language is not said to lack stop words. Personal data is
masked last, so that overlap is looked for in the words as they were written."""


class C4Rules(Record):
    """Rules on lines and pages. Source: Raffel et al. 2020, https://jmlr.org/papers/v21/20-074.html (its list of bad words is left out)."""

    terminal_punctuation: bool = False
    """Remove lines that end in no . ! ? or straight quote. True is C4, false is FineWeb."""
    min_sentences: int = Field(default=5, ge=0)
    """Fewest sentences of a document."""
    min_line_words: int = Field(default=3, ge=0)
    """Fewest words of a line; shorter lines (headings, page numbers) are removed."""
    max_word_length: int = Field(default=1000, ge=1)
    """A line with a longer word is removed; characters."""
    citations: bool = True
    """Remove [1], [edit] and [citation needed]."""
    lorem_ipsum: bool = True
    """Remove documents that hold it."""
    javascript: bool = True
    """Remove lines that name it."""
    curly_bracket: bool = True
    """Remove documents that hold one: they are often code."""
    policy: bool = True
    """Remove lines on cookies, privacy policies and terms of use."""


class RepetitionRules(Record):
    """How much of a document may repeat itself. Source: Rae et al. 2021 (Gopher), table A1, https://arxiv.org/abs/2112.11446."""

    duplicate_lines: float = Field(default=0.3, gt=0, le=1)
    """Share of the lines."""
    duplicate_paragraphs: float = Field(default=0.3, gt=0, le=1)
    """Share of the paragraphs."""
    duplicate_line_characters: float = Field(default=0.2, gt=0, le=1)
    """Share of the characters, in repeated lines."""
    duplicate_paragraph_characters: float = Field(default=0.2, gt=0, le=1)
    """Share of the characters, in repeated paragraphs."""
    top_ngrams: tuple[float, ...] = Field(default=(0.2, 0.18, 0.16), max_length=3)
    """Share of the characters in the most frequent sequence of 2, 3, 4 words."""
    duplicate_ngrams: tuple[float, ...] = Field(default=(0.15, 0.14, 0.13, 0.12, 0.11, 0.1), max_length=6)
    """Share of the characters in repeated sequences of 5, 6, ... 10 words."""


class QualityRules(Record):
    """What running text looks like. Source: Rae et al. 2021 (Gopher), table A1, https://arxiv.org/abs/2112.11446."""

    min_words: int = Field(default=50, ge=1)
    """Fewest words of a document."""
    max_words: int = Field(default=100_000, ge=1)
    """Most words of a document."""
    min_word_length: float = Field(default=3, ge=0)
    """Shortest mean length of a word, in characters."""
    max_word_length: float = Field(default=10, gt=0)
    """Longest mean length of a word, in characters."""
    symbols: float = Field(default=0.1, gt=0)
    """Most signs (# or an ellipsis) per word."""
    bullet_lines: float = Field(default=0.9, gt=0, le=1)
    """Largest share of lines that begin with a bullet."""
    ellipsis_lines: float = Field(default=0.3, gt=0, le=1)
    """Largest share of lines that end with an ellipsis."""
    words_with_letters: float = Field(default=0.8, ge=0, le=1)
    """Smallest share of words that hold a letter."""
    stop_words: int = Field(default=2, ge=0)
    """Fewest different words of: the, be, to, of, and, that, have, with. Of other languages: none."""


class FineWebRules(Record):
    """Three rules FineWeb added. Source: Penedo et al. 2024, https://arxiv.org/abs/2406.17557."""

    lines_ending_in_punctuation: float = Field(default=0.12, ge=0, le=1)
    """Smallest share of lines."""
    short_lines: float = Field(default=0.67, gt=0, le=1)
    """Largest share of lines of at most `short_line` characters."""
    short_line: int = Field(default=30, ge=0)
    """Characters."""
    duplicate_line_characters: float = Field(default=0.01, gt=0, le=1)
    """Largest share of characters in repeated lines."""
    lines_per_word: float = Field(default=0.3, gt=0)
    """Most line breaks per word: above, it is a list."""


class NearRules(Record):
    """MinHash as FineWeb runs it: pairs that share three quarters of their sequences are found. Source: https://arxiv.org/abs/2406.17557."""

    words: int = Field(default=5, ge=1)
    """Words of a sequence."""
    bands: int = Field(default=14, ge=1)
    """Documents equal in one band are near duplicates."""
    rows: int = Field(default=8, ge=1)
    """Values of a band. A pair of similarity s is found with probability 1 - (1 - s^rows)^bands."""
    seed: int = Field(default=1, ge=0)
    """Of the hash functions."""


class CurateSettings(Record):
    """Settings of `hone curate`. Only `sources` is required."""

    sources: tuple[str, ...] = Field(min_length=1)
    """Files and folders of text."""
    text: str | None = None
    """Text column of tables; none means `text`, or the only column there is."""
    keep: tuple[str, ...] = ("title", "source", "licence", "license", "url")
    """Other columns that stay, where they are there."""
    only: tuple[str, ...] = ()
    """Steps that run; none means all."""
    without: tuple[str, ...] = ()
    """Steps that do not run."""
    c4: C4Rules = C4Rules()
    """Lines and pages."""
    repetition: RepetitionRules = RepetitionRules()
    """Repetition within a document."""
    quality: QualityRules = QualityRules()
    """Running text."""
    fineweb: FineWebRules = FineWebRules()
    """Lists and broken lines."""
    language: str = "en"
    """ISO 639 code of the language that stays."""
    language_threshold: float = Field(default=0.65, ge=0, le=1)
    """Smallest probability of that language."""
    near: NearRules = NearRules()
    """Near duplicates."""
    not_in: tuple[str, ...] = ()
    """Files of evaluation sets that must not occur in the texts."""
    overlap_words: int = Field(default=13, ge=5)
    """Words of a sequence that counts as overlap."""
    overlap_removes: Literal["paragraph", "document"] = "paragraph"
    """What is removed with it."""
    examples: int = Field(default=3, ge=0)
    """Removed documents of each step that the record shows."""
    tasks: int | None = Field(default=None, ge=1)
    """Parts the sources are divided into, file by file; none means one per file, at most 16."""
    workers: int = Field(default=1, ge=1)
    """Parts at work at the same time."""
    executor: Literal["local", "slurm", "ray"] = "local"
    """What runs them."""
    partition: str | None = None
    """Of Slurm."""
    time: str = "12:00:00"
    """Most time of a Slurm task."""
    memory_gb: int = Field(default=4, ge=1)
    """Memory of a Slurm or Ray task."""
    out: str | None = None
    """Run folder; none means runs/ and a name made of the first source and the settings."""

    @field_validator("only", "without")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in STEPS:
                raise ValueError(f"step '{name}' is not known. {did_you_mean(name, STEPS)}")
        return names

    @model_validator(mode="after")
    def _consistent(self) -> "CurateSettings":
        if "overlap" in self.only and not self.not_in:
            raise ValueError("the step overlap needs the evaluation sets: name them with not_in")
        if not chosen_steps(self):
            raise ValueError("no step is left")
        if self.not_in and "overlap" not in chosen_steps(self):
            raise ValueError(
                "not_in names evaluation sets for the step overlap, which does not run: add it to only, or take it out of without"
            )
        if self.executor == "slurm" and self.partition is None:
            raise ValueError("Slurm needs the name of a partition")
        return self


def chosen_steps(settings: CurateSettings) -> tuple[StepName, ...]:
    """The steps that run, in their order; overlap only where evaluation sets are named."""
    return tuple(
        name
        for name in STEPS
        if (not settings.only or name in settings.only)
        and name not in settings.without
        and (name != "overlap" or bool(settings.not_in))
    )


_RULES: dict[str, type[Record]] = {
    "c4": C4Rules,
    "repetition": RepetitionRules,
    "quality": QualityRules,
    "fineweb": FineWebRules,
    "near": NearRules,
}


def read_thresholds(pairs: Sequence[str]) -> dict[str, Record]:
    """Rules from 'quality.min_words=20', 'repetition.top_ngrams=0.2,0.2,0.2', by step.

    Raises:
        Usage: a text that is not of this form, a step or threshold that is not known, a value that cannot be.
    """
    values: dict[str, dict[str, object]] = {}
    for pair in pairs:
        name, is_given, value = pair.partition("=")
        step, has_dot, field = name.strip().partition(".")
        if not is_given or not has_dot:
            raise Usage(f"--set '{pair}' is not STEP.NAME=VALUE. Write for example --set quality.min_words=20.")
        if step not in _RULES:
            raise Usage(f"--set {pair}: '{step}' has no thresholds. {did_you_mean(step, _RULES)}")
        if field not in _RULES[step].model_fields:
            raise Usage(f"--set {pair}: '{step}' has no threshold '{field}'. {did_you_mean(field, _RULES[step].model_fields)}")
        values.setdefault(step, {})[field] = tuple(value.split(",")) if "," in value else value
    rules = {}
    for step, fields in values.items():
        try:
            rules[step] = _RULES[step].model_validate(fields)
        except ValidationError as error:
            said = (f"--set {step}.{one['loc'][0]}={one['input']}: {one['msg']}." for one in error.errors())
            raise Usage("\n".join(said)) from error
    return rules


def _paths(text: str) -> tuple[str, ...]:
    return (text,) if Path(text).exists() else parse_names(text)


CURATE = Form(
    CurateSettings,
    "hone curate",
    aliases={"num_workers": "workers", "decontaminate": "not_in"},
    readers={"sources": _paths, "not_in": _paths, "only": parse_names, "without": parse_names, "keep": parse_names},
)
