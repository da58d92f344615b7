"""The plan as a whole: rows, family, model, strategies, costs, and the command that runs it."""

import shlex
from pathlib import Path
from typing import Any, Literal

from hone.compare.settings import COMPARE
from hone.core.configuration import settings_from, write_settings
from hone.core.console import note
from hone.core.device import best_device
from hone.core.errors import Failed, Usage, as_option
from hone.core.store import write_atomic
from hone.model import dry_network, resolve_precision, without_numbers
from hone.plan.base import Base, find_base, languages_of
from hone.plan.costs import Pricing, head_of, price_training, weigh_scratch
from hone.plan.records import Plan, PlanSettings, Rule, Survey
from hone.plan.rules import FITTING, enough_rows, is_compared, strategy_rules
from hone.plan.survey import described, surveyed
from hone.train.estimate import cache_bytes, find_gpu, process_bytes, read_prices
from hone.tune.settings import TUNE

__all__ = ["make_plan", "write_plan"]

_ROWS = "ROWS.csv"
_AT_ONCE = 16  # rows answered together


def make_plan(settings: PlanSettings, answers: dict[str, str] | None = None) -> Plan:
    """Plan a training before anything is downloaded.

    Args:
        answers: to questions about a description, by name.
    Raises:
        HoneError: the rows cannot be read, or no model fits them; what was asked contradicts itself.
    """
    if (settings.data is None) == (settings.describe is None):
        raise Usage('Name the rows or describe the task, one of the two: hone plan rows.csv, or hone plan --describe "...".')
    if settings.prices and not settings.gpu:
        raise Usage("--prices is a list of GPUs, and none is asked about. Name some of it with --gpu, or leave it out.")
    process = process_bytes()
    prices = read_prices(Path(settings.prices) if settings.prices else None)
    for name in settings.gpu:
        find_gpu(name, prices)
    assumed: tuple[str, ...] = ()
    if settings.data is not None:
        survey = surveyed(settings)
    else:
        known = (answers or {}) | ({"kind": settings.kind} if settings.kind else {})
        survey, assumed = described(settings.describe or "", known)
    base = find_base(settings, survey)
    with without_numbers():
        parameters = sum(one.numel() for one in dry_network(base.config, head_of(survey, base.family)).parameters())
    note("Timing some steps here.")
    pricing = Pricing(settings, survey, base, parameters, prices, process)
    untried = None
    try:
        costs, rate = price_training(pricing)
    except Failed as error:
        costs, rate, untried = [], None, str(error)
    rules = strategy_rules(survey, base.family)
    program, config, command = _command(settings, survey, base, rules)
    return Plan(
        settings=settings,
        survey=survey,
        assumptions=(*assumed, *_assumed(settings, survey)),
        families=FITTING[survey.kind].families,
        family_because=FITTING[survey.kind].because,
        model=base.name,
        model_because=base.because,
        parameters=parameters,
        rules=tuple(rules),
        enough=enough_rows(survey),
        costs=tuple(costs),
        untried=untried,
        cache_bytes=_cache(settings, survey, base),
        scratch=weigh_scratch(pricing, rate=rate),
        prices=f"{prices.prices_date}: {prices.prices_source}" if settings.gpu else None,
        command=command,
        config=config,
        config_of=program,
    )


def _cache(settings: PlanSettings, survey: Survey, base: Base) -> int:
    """Keys and values of rows that are answered together."""
    if base.family == "encoder":
        return 0
    written = max(1, round(survey.answer_tokens))
    read = max(1, round(survey.mean_tokens) - written)
    precision = resolve_precision(settings.precision, best_device())
    return cache_bytes(base.config, rows=_AT_ONCE, read=read, written=written, precision=precision)


def _assumed(settings: PlanSettings, survey: Survey) -> list[str]:
    found = [f"{settings.epochs:g} passes over the rows in steps of {settings.batch_rows}."]
    if "assumed" in survey.counted_with:
        found.append(f"Tokens were counted with {survey.counted_with}.")
    if settings.model is not None:
        if settings.language is not None:
            found.append(
                f"'{settings.model}' was named, so --language chose nothing: whether it reads {settings.language} stands in its card."
            )
    elif languages := languages_of(settings):
        found.append(f"The model reads {languages}, as its authors say.")
    else:
        found.append(
            "No language was named, so models of all languages were considered; --language de asks for one that reads German."
        )
    return found


def _command(
    settings: PlanSettings, survey: Survey, base: Base, rules: list[Rule]
) -> tuple[Literal["hone compare", "hone tune"], dict[str, Any], str]:
    """Which command runs the plan, its settings, and the line to type."""
    data = settings.data or _ROWS
    named: dict[str, Any] = {"data": data, "model": base.name}
    for name in ("text", "label", "prompt", "completion"):
        if value := getattr(settings, name):
            named[name] = list(value) if isinstance(value, tuple) else value
    for name in ("kind", "epochs", "batch_rows", "precision"):
        if name in settings.model_fields_set and (value := getattr(settings, name)) is not None:
            named[name] = value
    if not is_compared(survey.kind):
        return (
            "hone tune",
            named | {"method": "lora", "epochs": settings.epochs, "batch_rows": settings.batch_rows},
            _typed("tune", data, named | {"method": "lora"}),
        )
    named["strategies"] = [rule.strategy for rule in rules if rule.runs]
    return "hone compare", named | {"model": [base.name]}, _typed("compare", data, named)


def _typed(verb: str, data: str, named: dict[str, Any]) -> str:
    options = [
        f"{as_option(name)} {shlex.quote(','.join(value) if isinstance(value, list) else _plain(value))}"
        for name, value in named.items()
        if name != "data"
    ]
    return " ".join([f"hone {verb}", shlex.quote(data), *options])


def _plain(value: object) -> str:
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def write_plan(plan: Plan, file: Path) -> None:
    """The settings of the plan's command as YAML, which its --config takes as it is.

    Raises:
        Failed: the file cannot be written.
    """
    form: Any = COMPARE if plan.config_of == "hone compare" else TUNE
    text = write_settings(form, settings_from(form, plan.config))
    _, _, rest = text.partition("\n")
    write_atomic(file, f"# Planned by hone plan: {plan.config_of} --config {file.name}\n{rest}")
