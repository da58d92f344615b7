"""Which base model a plan rests on, and its configuration, whether or not it is on this machine."""

from typing import Any, NamedTuple

from hone.catalogue import (
    CatalogueEntry,
    bytes_needed,
    find_entries,
    free_disk,
    is_on_this_machine,
    languages_named,
    list_models,
    locate_model,
    name_models,
    read_wanted,
    without_languages,
)
from hone.core.device import available_memory, total_memory
from hone.core.errors import BadModel, Usage
from hone.measure import human_bytes
from hone.model import Family, configuration_of, family, read_config
from hone.plan.records import PlanSettings, Survey
from hone.plan.rules import FITTING

__all__ = ["Base", "find_base", "languages_of"]


class Base(NamedTuple):
    """A model by its configuration."""

    name: str
    config: Any
    family: Family
    because: str
    is_here: bool
    """Whether its files are on this machine."""


def find_base(settings: PlanSettings, survey: Survey) -> Base:
    """The model that was named, or one chosen for the rows.

    Raises:
        BadModel: it is not known, or its files are damaged.
        Usage: it does not fit the rows, its licence forbids the use, or it is larger than memory or disk.
    """
    fitting = FITTING[survey.kind]
    base = _named(settings, settings.model) if settings.model else _chosen(settings, survey)
    if base.family not in fitting.families:
        raise Usage(
            f"'{base.name}' is of the family {base.family}, and rows of the kind '{survey.kind}' need {' or '.join(fitting.families)}: "
            f"{fitting.because}. Name another with --model."
        )
    return base


def _named(settings: PlanSettings, name: str) -> Base:
    plain = without_languages(name)
    entries = find_entries(plain)
    wanted = read_wanted(licence=settings.licence)
    is_here = is_on_this_machine(name)
    if entries or not is_here:
        found = name_models([plain], wanted)  # says what is not known, and what a licence forbids
        if len(found.entries) > 1:
            raise Usage(f"'{name}' names {len(found.entries)} models: {', '.join(one.name for one in found.entries)}. Name one.")
    if not is_here:
        return _from_catalogue(settings, entries[0], "as named")._replace(name=entries[0].name + name.removeprefix(plain))
    config = read_config(locate_model(name))
    return Base(name, config, family(config), "as named", True)


def languages_of(settings: PlanSettings) -> str | None:
    """What the model must read, with commas: as asked, else what the description names; None where neither says."""
    return settings.language or ",".join(languages_named(settings.describe or "")) or None


def _chosen(settings: PlanSettings, survey: Survey) -> Base:
    fitting, languages = FITTING[survey.kind], languages_of(settings)
    if (
        fitting.families[0] == "encoder"
        and survey.kind != "answers"
        and read_wanted(language=languages).languages in ((), ("en",))
        and settings.licence in (None, "commercial", "unconditional", "apache-2.0")
    ):
        try:
            folder = locate_model("starter/encoder")
        except BadModel:
            pass
        else:
            config = read_config(folder)
            return Base(
                "starter/encoder", config, "encoder", "it is on board, small, and its vectors serve without training", True
            )
    most = min(8 << 30, available_memory())
    wanted = read_wanted(
        task=fitting.task,
        family=fitting.families[0],
        licence=settings.licence,
        max_memory=f"{most >> 20}MB",
        use="lora",
        language=languages,
        context=str(max(16, survey.longest_tokens)) if fitting.families[0] != "encoder-decoder" else None,
    )
    kept = list_models(wanted)[0].kept
    if not kept:
        asked = "".join(f", {what} {value}" for what, value in (("licence", settings.licence), ("language", languages)) if value)
        raise Usage(
            f"No model of the catalogue fits: {fitting.families[0]}, {survey.longest_tokens:,} tokens at once, LoRA in {human_bytes(most)}"
            f"{asked}. hone models --why says of each why not; name one with --model."
        )
    smallest = min(kept[:12], key=lambda entry: entry.parameters)
    return _from_catalogue(settings, smallest, "the smallest of the catalogue's first for such rows; hone models lists others")


def _from_catalogue(settings: PlanSettings, entry: CatalogueEntry, because: str) -> Base:
    needed, there = bytes_needed(entry, "inference", tokens=512), total_memory()
    if needed > there and not settings.gpu:
        raise Usage(
            f"{entry.name} takes about {human_bytes(needed)} to run alone, and this machine has {human_bytes(there)}. "
            "Name a smaller model, or a GPU with --gpu."
        )
    size, free = entry.bytes_on_disk, free_disk()
    if size is not None and size > free:
        raise Usage(
            f"The weights of {entry.name} take {human_bytes(size)}, and {human_bytes(free)} are free where they would lie. "
            "Make room, set HF_HOME to another disk, or name a smaller model."
        )
    return Base(entry.name, configuration_of(entry), entry.family, because, False)
