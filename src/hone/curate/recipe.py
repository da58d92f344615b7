"""The recipe: which pipelines run one after another, whichever executor runs them.

Rules look at one document and share a pass over the sources. Duplicates need all documents: a pass writes signatures, one task or a few compare
them, and the last pass removes what they found, takes overlap out, masks, and writes the corpus. Between passes the texts stand on disk.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.dedup import (
    ExactDedupFilter,
    ExactDedupSignature,
    ExactFindDedups,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.dedup.exact_dedup import ExactDedupConfig
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.utils.hashing import HashConfig

from hone.curate.judges import C4, Language, Mask, NotIn, fineweb, quality, repetition, splitter
from hone.curate.overlap import Overlap
from hone.curate.settings import CurateSettings, chosen_steps
from hone.curate.sources import SourceFile
from hone.curate.steps import Judge, Judged, Quiet, ReadShard, ReadSources, Tally, WriteShard
from hone.task import normalise

__all__ = ["Stage", "recipe"]


# datatrove's default, xxhash, is given texts where its fourth version takes bytes alone; SHA-1 is there without a package.
_HASHES = HashConfig(precision=64, hash_fc="sha1")


@dataclass(frozen=True)
class Stage:
    """One pipeline and the number of tasks it is divided into."""

    name: str
    pipeline: list[Any]
    tasks: int


def recipe(settings: CurateSettings, parts: Sequence[Sequence[SourceFile]], work: Path) -> list[Stage]:
    """The stages in their order.

    Args:
        parts: the files of each task. work: folder of what stands between the stages; all workers must see it.
    Raises:
        Usage: a language that is not known. BadData: rules that count words, for a language without blanks.
    """
    steps = chosen_steps(settings)
    tasks = len(parts)
    examples = work / "examples"
    rules = [Judged(step, _judge(step, settings), examples, settings.examples) for step in steps if step in _RULES]
    read = ReadSources(parts, examples, text=settings.text, keep=settings.keep)
    stages = [Stage("rules", [Quiet(), read, *rules, WriteShard(work / "passed", is_final=False)], tasks)]
    again: list[Any] = [ReadShard(work / "passed")]
    if "exact" in steps:
        config = ExactDedupConfig(content_getter=_content, hash_config=_HASHES)
        stages += [
            Stage("exact signatures", [Quiet(), *again, ExactDedupSignature(_made(work / "exact"), config)], tasks),
            Stage("exact duplicates", [Quiet(), ExactFindDedups(str(work / "exact"), _made(work / "exact-found"), config)], 1),
        ]
        tally = Tally("exact", "the same text", examples, settings.examples)
        again += [ExactDedupFilter(str(work / "exact-found"), config, exclusion_writer=tally), tally]
    if "near" in steps:
        stages += _near_stages(settings, list(again), work, tasks)
        tally = Tally("near", "nearly the same text", examples, settings.examples)
        again += [MinhashDedupFilter(str(work / "near-remove"), exclusion_writer=tally), tally]
    if "overlap" in steps:
        overlap = Overlap(work / "overlap", settings.not_in, words=settings.overlap_words)
        judge = NotIn(overlap, removes_documents=settings.overlap_removes == "document")
        again.append(Judged("overlap", judge, examples, settings.examples))
    if "pii" in steps:
        again.append(Judged("pii", Mask(), examples, settings.examples))
    return [*stages, Stage("corpus", [Quiet(), *again, WriteShard(work / "texts", is_final=True)], tasks)]


def _near_stages(settings: CurateSettings, read: list[Any], work: Path, tasks: int) -> list[Stage]:
    near = settings.near
    config = MinhashConfig(
        n_grams=near.words, num_buckets=near.bands, hashes_per_bucket=near.rows, seed=near.seed, hash_config=_HASHES
    )
    signatures, pairs, remove = (_made(work / name) for name in ("near-signatures", "near-pairs", "near-remove"))
    sign = MinhashDedupSignature(signatures, config, language=splitter(settings.language))
    return [
        Stage("near signatures", [Quiet(), *read, sign], tasks),
        Stage("near pairs", [Quiet(), MinhashDedupBuckets(signatures, pairs, config=config)], near.bands),
        Stage("near groups", [Quiet(), MinhashDedupCluster(pairs, remove, config)], 1),
    ]


_RULES = ("c4", "repetition", "quality", "fineweb", "language")


def _judge(step: str, settings: CurateSettings) -> Judge:
    if step == "c4":
        return C4(settings)
    if step == "language":
        return Language(settings.language, settings.language_threshold)
    return {"repetition": repetition, "quality": quality, "fineweb": fineweb}[step](settings)


def _content(document: Document) -> bytes:
    """What makes two texts the same. datatrove reads the annotation."""
    return normalise(document.text).encode("utf-8", "surrogatepass")


def _made(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)
