"""A plan as text for people."""

import textwrap
from collections.abc import Sequence

from hone.core.console import render_table, terminal_width
from hone.measure import human_bytes, human_count, human_seconds
from hone.plan.records import Cost, Plan

__all__ = ["plan_text"]

_BYTES_STILL = 4  # of an fp32 weight
_BYTES_MOVED = 4 * _BYTES_STILL  # with its gradient and AdamW's two moments


def plan_text(plan: Plan) -> str:
    """All of it, the command to run last."""
    survey = plan.survey
    classes = f", {survey.labels} {'classes' if survey.kind == 'classify' else 'choices'}" if survey.labels else ""
    rarest = f" (the rarest has {survey.fewest:,} rows)" if survey.fewest is not None and survey.kind == "classify" else ""
    name = plan.settings.data or "the description"
    parts = [
        f"{name}: {survey.rows:,} rows of the kind '{survey.kind}'{classes}{rarest}; "
        f"{survey.mean_tokens:.0f} tokens a row, 99 in a hundred within {survey.longest_tokens:,} ({survey.counted_with}).\n{survey.because}",
        _section("Family", [f"{', then '.join(plan.families)}: {plan.family_because}."]),
        _section("Model", [f"{plan.model}, {human_count(plan.parameters)} parameters: {plan.model_because}."]),
        _section("Strategies", _rules(plan)),
        _section("Rows", [plan.enough.one_task, plan.enough.many_tasks, plan.enough.measure]),
        f"What it takes\n{_costs(plan.costs)}" if plan.costs else _section("What it takes", [_untried(plan)]),
        _section("", _details(plan)),
        _section("From scratch", [_scratch(plan)]),
        _section("Assumed", plan.assumptions),
        f"Run it\n  {plan.command}",
    ]
    return "\n\n".join(part for part in parts if part)


def _section(title: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    width = terminal_width()
    filled = [
        textwrap.fill(line, width, initial_indent="  ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
        for line in lines
    ]
    return "\n".join([*([title] if title else []), *filled])


def _rules(plan: Plan) -> list[str]:
    return [f"{'run ' if rule.runs else 'skip'} {rule.strategy}: {rule.because} ({rule.source})" for rule in plan.rules]


def _costs(costs: Sequence[Cost]) -> str:
    rows = [
        [
            cost.where,
            cost.method,
            human_bytes(cost.peak_bytes),
            human_bytes(cost.memory_bytes),
            "yes" if cost.fits else "no",
            "not measured" if cost.seconds is None else human_seconds(cost.seconds),
            "" if cost.usd is None else f"${cost.usd:,.2f}",
        ]
        for cost in costs
    ]
    return render_table(
        ["where", "method", "memory", "of", "fits", "time", "money"],
        rows,
        align=["left", "left", "right", "right", "left", "right", "right"],
    )


def _untried(plan: Plan) -> str:
    full, frozen = (human_bytes(size * plan.parameters) for size in (_BYTES_MOVED, _BYTES_STILL))
    return (
        f"{plan.untried} Weights, gradients and AdamW's moments alone take {full} in full fine-tuning ({_BYTES_MOVED} bytes a parameter), "
        f"the weights {frozen} with LoRA; activations come on top."
    )


def _details(plan: Plan) -> list[str]:
    lines = []
    for cost in plan.costs:
        if cost.textbook_bytes is not None and cost.accelerate_bytes is not None:
            lines.append(
                f"{cost.method} here: {cost.basis}. The textbook would say {human_bytes(cost.textbook_bytes)}, "
                f"accelerate {human_bytes(cost.accelerate_bytes)}."
            )
        lines += [f"{cost.method} on {cost.where}, to fit: {way}" for way in cost.ways]
    if plan.cache_bytes:
        lines.append(f"To answer 16 rows at once: the weights, and {human_bytes(plan.cache_bytes)} of keys and values.")
    on_gpus = {cost.where: cost.basis for cost in plan.costs if cost.textbook_bytes is None}
    if on_gpus:
        lines.append(
            "GPUs: dry run of the passes on a CPU, which keep more; without starting and loading, and small models keep a card less busy. "
            + "; ".join(f"{name}: {basis}" for name, basis in on_gpus.items())
            + f". Prices of {plan.prices}."
        )
    return lines


def _scratch(plan: Plan) -> str:
    scratch = plan.scratch
    price = [f"here {human_seconds(scratch.seconds_here)}"] if scratch.seconds_here is not None else []
    price += [f"{name} ${usd:,.2f}" for name, usd in scratch.usd.items()]
    return f"{'yes' if scratch.makes_sense else 'no'}: {scratch.because}" + (
        f" It would take: {', '.join(price)}." if price else ""
    )
