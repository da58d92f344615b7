"""The model card of a pretraining, in the Hub's layout."""

from datetime import UTC, datetime

from hone.catalogue import ModelFolder
from hone.measure import human_bytes, human_count, human_seconds
from hone.model import CardFacts, CardScore, card_metadata, energy_line
from hone.pretrain.records import PretrainRecord, Sample

__all__ = ["write_card"]

_PIPELINES = {"causal": "text-generation", "masked": "fill-mask", "span": "text2text-generation"}
_KINDS = {"causal": "decoder (Llama)", "masked": "encoder (BERT)", "span": "encoder-decoder (T5 1.1)"}


def write_card(done: PretrainRecord, base: ModelFolder, *, licence: str | None = None) -> str:
    """`README.md` with its metadata block. `licence`: of the model; the base's, where there is one and none is named."""
    begun = f"It goes on from {done.base}, weights sha256 {done.base_sha256}." if done.base else "It was trained from scratch."
    bits = f" ({done.bits_per_byte:.3f} bits per byte)" if done.bits_per_byte is not None else ""
    hits = f" The likeliest token is right in {done.accuracy:.1%} of the places." if done.accuracy is not None else ""
    last = max((sample.step for sample in done.samples), default=0)
    shown = "\n\n".join(_shown(sample) for sample in done.samples if sample.step == last)
    unread = f" {done.unread:,} files and rows could not be read." if done.unread else ""
    title = f"A {_KINDS[done.objective]} of {human_count(done.parameters)} parameters"
    head = card_metadata(
        CardFacts(
            name=title,
            library="transformers",
            pipeline=_PIPELINES[done.objective],
            base_model=done.base,
            licence=licence or (base.licence if done.base else None),
            dataset=done.sources[0] if len(done.sources) == 1 else f"{len(done.sources)} sources",
            scores=(CardScore(metric="loss", value=done.loss, n=done.validation_texts, split="validation"),),
        )
    )
    return f"""{head}
# {title}

## What it is for

To be tuned further, or to study how such models learn.

## How good it is

{begun} Objective: {done.objective}. On {done.validation_texts:,} texts that took no part in training its loss is {done.loss:.4f} nats a term{bits},
{done.start_loss:.4f} before the first step.{hits}

## What it writes

{shown or "No samples were asked for."}

## How it was made

- Texts: {done.texts:,} of {len(done.sources)} sources, {human_bytes(done.corpus_bytes)}; digest {done.data_sha256[:12]}.{unread}
- {human_count(done.corpus_tokens)} tokens a pass, vocabulary of {done.vocabulary:,}.
- {done.training.tokens_seen:,} tokens seen in {done.training.steps:,} steps, {done.training.tokens_seen / done.corpus_tokens:.2f} passes.
- {human_seconds(done.seconds)} on {done.processor}, peak memory {human_bytes(done.peak_bytes or 0)}; finished {datetime.now(UTC):%Y-%m-%d}.
- {energy_line(done.seconds)}
- hone {done.versions["hone-lm"]}, seed {done.settings.seed}; `config.yaml` repeats the run, `hone.json` holds every number.

## Limits

A model of this size writes sentences, not facts. What it says was not checked for truth, bias or harm.
"""


def _shown(sample: Sample) -> str:
    return "\n".join(f"> {line}" for line in f"**{sample.read.strip()}** {sample.written.strip()}".splitlines())
