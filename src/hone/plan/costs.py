"""What a training takes: memory by a dry run, time from counted operations and a rate measured here or assumed of a GPU, money by the price list."""

import random
from dataclasses import dataclass
from typing import Any

import torch

from hone.core.device import available_memory, best_device, processor_name
from hone.core.errors import Failed
from hone.measure import human_bytes
from hone.model import Arithmetic, DryHead, cut_depth, cut_words, random_network, resolve_precision
from hone.plan.base import Base
from hone.plan.records import Cost, PlanSettings, Scratch, Survey
from hone.pretrain.advise import MOST_PASSES, RATIO
from hone.train import TrainPlan, make_trainable, rehearse, usual_tokens
from hone.train.estimate import (
    DryRun,
    PriceList,
    RowLength,
    Tries,
    accelerate_bytes,
    bare_objective,
    dry_run,
    find_gpu,
    items_of_lengths,
    textbook_bytes,
    ways_to_fit,
)

__all__ = ["METHODS", "Pricing", "head_of", "price_training", "weigh_scratch"]

METHODS = ("full", "lora")
_LONGEST = 2048  # tokens of a row that hone tune reads at most, where no length is named
_REHEARSED = 60_000_000  # parameters up to which the model itself is rehearsed
_WORDS = 32_768  # of its vocabulary, where it is not: 256,000 words alone would take minutes
_LEAST_USEFUL = 10_000_000  # parameters of the smallest model that writes sentences; judgement


@dataclass(frozen=True)
class Pricing:
    """What all costs of a plan rest on."""

    settings: PlanSettings
    survey: Survey
    base: Base
    parameters: int
    """Of the base with its head."""
    prices: PriceList
    process: int

    @property
    def tokens(self) -> float:
        """Read in the whole training."""
        return self.survey.rows * self.survey.mean_tokens * self.settings.epochs


def head_of(survey: Survey, family: str) -> DryHead:
    """What stands on the network."""
    if family == "encoder-decoder":
        return "seq2seq"
    if family == "decoder":
        return "causal"
    return "token" if survey.kind in ("tag", "answers") else "pooled"


def price_training(pricing: Pricing) -> tuple[list[Cost], float | None]:
    """Full fine-tuning and LoRA, here and on the named GPUs; and operations per second as measured here.

    Raises:
        BadModel: transformers makes no such model.
    """
    config, settings = pricing.base.config, pricing.settings
    rate: float | None = None
    costs: list[Cost] = []
    tries = Tries(config)
    precision = resolve_precision(settings.precision, best_device())
    accelerates = accelerate_bytes(config, head_of(pricing.survey, pricing.base.family))
    for method in METHODS:
        asked = _asked(pricing, method, precision)
        found = tries(asked, process=pricing.process)
        flops = found.flops_per_token * pricing.tokens
        memory = available_memory()
        if rate is None and found.peak <= memory:
            rate = _measured_rate(pricing, asked)
        fits = found.peak <= memory
        costs.append(
            Cost(
                where=f"here ({processor_name()})",
                method=method,
                peak_bytes=found.peak,
                memory_bytes=memory,
                fits=fits,
                seconds=flops / rate if rate else None,
                usd=None,
                basis=f"dry run; {rate / 1e9:,.0f} GFLOP/s measured here"
                if rate
                else "dry run; no rate measured, for it does not fit",
                ways=() if fits else _told_ways(tries, asked, memory, pricing.process, has_gpu=False),
                textbook_bytes=textbook_bytes(config, asked, found) + pricing.process,
                accelerate_bytes=accelerates + pricing.process,
            )
        )
        costs += [_on_gpu(pricing, name, asked, tries) for name in settings.gpu]
    asked = _asked(pricing, "lora", precision)
    if asked.has_words:
        costs += [_on_gpu(pricing, name, asked.model_copy(update={"held": "4bit"}), tries) for name in settings.gpu]
    return costs, rate


def _asked(pricing: Pricing, method: str, precision: Arithmetic) -> DryRun:
    """Rows of a step as they come: one of the longest, the rest of the mean length."""
    survey = pricing.survey
    head = head_of(survey, pricing.base.family)
    mean, longest = max(2, round(survey.mean_tokens)), max(2, min(survey.longest_tokens, _room(pricing.base.config)))
    learnt = max(1, round(survey.answer_tokens))
    rows = [longest, *[min(mean, longest)] * (pricing.settings.batch_rows - 1)]
    if head == "seq2seq":
        made = [RowLength(max(1, row - learnt), learnt) for row in rows]
    else:
        made = [RowLength(row, 1 if head == "pooled" else min(learnt, row - 1)) for row in rows]
    return DryRun(
        head=head,
        rows=tuple(made),
        method=method,
        outputs=max(2, survey.labels or 2),
        forward_tokens=usual_tokens(pricing.parameters),
        precision=precision,
        words=survey.words if method == "full" and head in ("pooled", "token") else None,
    )


def _room(config: Any) -> int:
    """Tokens that hone reads of a row at most."""
    positions = getattr(config, "max_position_embeddings", None)
    return min(_LONGEST, positions) if isinstance(positions, int) and positions > 0 else _LONGEST


def _told_ways(tries: Tries, asked: DryRun, limit: int, process: int, *, has_gpu: bool) -> tuple[str, ...]:
    try:
        ways = ways_to_fit(tries, asked, limit=limit, process=process, has_gpu=has_gpu)
    except Failed:
        return ()
    return tuple(f"{way.change}: {human_bytes(way.peak)}{', fits' if way.fits else ''}" for way in ways)


def _on_gpu(pricing: Pricing, name: str, asked: DryRun, tries: Tries) -> Cost:
    """The same run on a card, in the arithmetic that hone takes there. In 4 bits without a time: what unpacks weights is no product."""
    gpu, prices = find_gpu(name, pricing.prices), pricing.prices
    named = pricing.settings.precision
    asked = asked.model_copy(update={"precision": gpu.arithmetic if named == "auto" else named})
    found, context = tries(asked), int(prices.context_gb * 1e9)
    peak, rate = found.tensors + context, gpu.tflops(asked.precision)
    seconds = prices.seconds(gpu, found.flops_per_token * pricing.tokens, asked.precision) if asked.held == "plain" else None
    fits = peak <= gpu.memory_bytes
    at = "no rate known" if rate is None else f"{rate:,g} TFLOP/s ({gpu.source}) at an assumed {prices.utilisation:.0%}"
    return Cost(
        where=gpu.name,
        method=asked.method if asked.held == "plain" else f"{asked.method}, 4 bits",
        peak_bytes=peak,
        memory_bytes=gpu.memory_bytes,
        fits=fits,
        seconds=seconds,
        usd=None if seconds is None else seconds / 3600 * gpu.usd_per_hour,
        basis=f"{asked.precision}, {at}",
        ways=() if fits else _told_ways(tries, asked, gpu.memory_bytes, context, has_gpu=True),
    )


def _measured_rate(pricing: Pricing, asked: DryRun) -> float:
    """Operations per second of some real steps: of the model itself with random weights where it is small, else of its first layers and words."""
    config = pricing.base.config
    if pricing.parameters > _REHEARSED:
        share = _REHEARSED / pricing.parameters
        config = cut_words(cut_depth(config, lambda layers: max(1, int(layers * share))), _WORDS)
    torch.manual_seed(pricing.settings.seed)
    net = make_trainable(asked.method).prepare(random_network(config, asked.head, outputs=asked.outputs))
    if asked.precision == "bf16":
        net.narrow_frozen()
    rng, words = random.Random(pricing.settings.seed), int(getattr(config, "vocab_size", 100))
    items = items_of_lengths(asked.head, asked.rows)
    for item in items:
        for ids in (getattr(item, name) for name in ("ids", "source", "target") if isinstance(getattr(item, name, None), list)):
            ids[:] = [rng.randrange(words) for _ in ids]
    plan = TrainPlan(
        learning_rate=0.0,
        head_learning_rate=0.0,
        steps=1,
        batch_rows=len(items),
        forward_tokens=asked.forward_tokens,
        precision=asked.precision,
    )
    paced = rehearse(net, items, items, plan=plan, objective=bare_objective(asked.head, asked.outputs))
    counted = dry_run(config, asked)
    return counted.flops_per_token / paced.seconds_per_token


def weigh_scratch(pricing: Pricing, *, rate: float | None) -> Scratch:
    """A model from nothing, of this size, at 20 tokens a parameter: what it would take, and whether the rows could feed it."""
    parameters = pricing.parameters
    wanted = RATIO * parameters
    there = round(pricing.survey.rows * pricing.survey.mean_tokens)
    could = MOST_PASSES * there // RATIO
    sense = pricing.survey.kind == "plain" and could >= _LEAST_USEFUL
    flops = 6.0 * parameters * wanted
    if sense:
        because = f"Four passes over the rows' {there:,} tokens feed a model of {could:,} parameters at 20 tokens each: hone pretrain does it."
    else:
        because = (
            f"The rows hold {there:,} tokens, and {parameters:,} parameters want {wanted:,} (20 each, Hoffmann 2022, "
            "https://arxiv.org/abs/2203.15556). An existing model has read them already: start from one."
        )
    usd = {}
    for name in pricing.settings.gpu:
        gpu = find_gpu(name, pricing.prices)
        seconds = pricing.prices.seconds(gpu, flops, gpu.arithmetic)
        assert seconds is not None  # a card of the list has a rate in its own arithmetic
        usd[gpu.name] = seconds / 3600 * gpu.usd_per_hour
    return Scratch(
        makes_sense=sense,
        because=because,
        parameters=parameters,
        tokens_wanted=wanted,
        tokens_there=there,
        seconds_here=flops / rate if rate else None,
        usd=usd,
    )
