"""`curate_texts`: from settings to a run folder with the corpus, its record and its card.

The one surprise: `curation.json` is written last and alone says that the corpus is whole; without it, the folder is a run to be continued.
"""

import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from hone.core.claim import claim_folder, release_folder
from hone.core.configuration import write_settings
from hone.core.console import note, warn
from hone.core.errors import BadData, need
from hone.core.store import digest_file, digest_text, open_atomic, read_record, write_atomic
from hone.curate.records import Amount, CurationRecord, Removed, SetOverlap, SourceRecord, StepRecord, UnreadText
from hone.curate.settings import CURATE, STEPS, CurateSettings, chosen_steps
from hone.curate.sources import SourceFile, Unread, divide, find_files
from hone.curate.table import curation_card

__all__ = ["RECORD", "TEXTS", "curate_texts"]

RECORD = "curation.json"
TEXTS = "texts.jsonl.gz"
_MOST_TASKS = 16
_UNREAD_SHOWN = 20
# What may differ between two runs that go on from each other.
_NOT_IN_KEY = ("workers", "executor", "partition", "time", "memory_gb", "out")


def curate_texts(settings: CurateSettings) -> tuple[CurationRecord | None, Path]:
    """Clean the texts of the sources into `texts.jsonl.gz`; a run that was interrupted goes on, a finished one is read.

    Returns:
        The record, or None where the work was handed to Slurm and is not done; and the run folder.
    Raises:
        MissingPackage: the extra `curate` is not installed. BadData: nothing to read, or nothing was left.
        Usage: settings that do not fit the sources, or a folder with another run. Failed: a task failed; what was finished is kept.
    """
    with ExitStack() as held:
        return _curate(settings, held)


def _curate(settings: CurateSettings, held: ExitStack) -> tuple[CurationRecord | None, Path]:
    started = time.monotonic()
    # datatrove's own progress bars would run through hone's; read when it is imported, here and in its processes.
    os.environ.setdefault("TQDM_DISABLE", "1")
    need("datatrove", extra="curate")
    from hone.curate.execute import run_stages
    from hone.curate.recipe import recipe

    out = Path(settings.out) if settings.out else None
    files, other = find_files(settings.sources, leave_out=out)
    parts = divide(files, settings.tasks or min(len(files), _MOST_TASKS))
    folder = claim_folder(settings.out, settings.sources[0], key=_key(settings, files), until=held)
    if (folder / RECORD).exists():
        return read_record(folder / RECORD, CurationRecord), folder
    work = folder.resolve() / "work"
    try:
        stages = recipe(settings, parts, work)
        sets = _index_sets(settings, work)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        release_folder(folder)
        raise
    write_atomic(folder / "config.yaml", write_settings(CURATE, settings))
    _tell(settings, files, other, len(parts), folder)
    if not run_stages(settings, stages, work):
        return None, folder
    record = _gather(settings, files, other, sets, folder, len(parts), time.monotonic() - started)
    write_atomic(folder / "README.md", curation_card(record))
    write_atomic(folder / RECORD, record.to_json())
    shutil.rmtree(work, ignore_errors=True)
    return record, folder


def _key(settings: CurateSettings, files: Sequence[SourceFile]) -> str:
    chosen = settings.model_dump_json(exclude=set(_NOT_IN_KEY))
    stamps = [f"{file.path} {file.size} {Path(file.path).stat().st_mtime_ns}" for file in files]
    sets = [f"{path} {Path(path).stat().st_mtime_ns}" for path in settings.not_in if Path(path).exists()]
    return digest_text(chosen, *stamps, *sets)


def _tell(settings: CurateSettings, files: Sequence[SourceFile], other: Sequence[Unread], tasks: int, folder: Path) -> None:
    total = sum(file.size for file in files)
    note(
        f"{len(files):,} files, {total / 1e6:,.1f} MB on disk, in {tasks} parts. "
        f"Steps: {', '.join(chosen_steps(settings))}. Into {folder}."
    )
    if settings.workers > tasks:
        warn(f"{settings.workers} workers for {tasks} parts: some have nothing to do. Divide large files, or name more --tasks.")
    for each in other[:_UNREAD_SHOWN]:
        warn(f"{each.name} is not read: {each.reason}.")


def _index_sets(settings: CurateSettings, work: Path) -> list[SetOverlap]:
    """Index the evaluation sets: what is known of each before anything is held against it."""
    if "overlap" not in chosen_steps(settings):
        return []
    from hone.curate.overlap import index_sets

    found = index_sets(settings.not_in, work / "overlap", words=settings.overlap_words)
    for each in found:
        if each.unread:
            warn(
                f"{each.name}: {each.unread:,} of its rows cannot be read, in whole or in part, and what cannot is not looked for."
            )
    return [
        SetOverlap(path=each.name, texts=each.texts, too_short=each.too_short, unread=each.unread, paragraphs=0, documents=0)
        for each in found
    ]


def _gather(
    settings: CurateSettings,
    files: Sequence[SourceFile],
    other: Sequence[Unread],
    sets: Sequence[SetOverlap],
    folder: Path,
    tasks: int,
    seconds: float,
) -> CurationRecord:
    work = folder / "work"
    counts = _statistics(work)
    names = chosen_steps(settings)
    kept = _amount(counts["written"], "kept")
    unread = [UnreadText(path=str(row["path"]), reason=str(row["reason"])) for row in _examples(work, "raw")]
    unread = [*(UnreadText(path=each.name, reason=each.reason) for each in other), *unread]
    if not counts["raw"]["kept_documents"]:
        reasons = "".join(f"\n  {_reason(each)}" for each in unread[:_UNREAD_SHOWN])
        raise BadData(f"There is no text in {', '.join(settings.sources[:3])}. What cannot be read, first of all:{reasons}")
    if not kept.documents:
        worst = max(names, key=lambda name: sum(_by(counts[name], "removed:").values()))
        raise BadData(
            f"Nothing of {_amount(counts['raw'], 'kept').documents:,} documents was left; most went at the step '{worst}': "
            f"{_by(counts[worst], 'removed:')}. Leave steps out with --without, or set their thresholds."
            + (
                f" {counts['raw']['unread'] + len(other):,} files and rows cannot be read; the first: {_reason(unread[0])}"
                if unread
                else ""
            )
        )
    with open_atomic(folder / TEXTS) as whole:  # gzip files one after another are a gzip file
        for rank in range(tasks):
            with (work / "texts" / f"{rank:05d}.jsonl.gz").open("rb") as part:
                shutil.copyfileobj(part, whole)
    return CurationRecord(
        hone_version=version("hone-lm"),
        datatrove_version=version("datatrove"),
        built=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(seconds, 1),
        settings=settings,
        raw=_amount(counts["raw"], "kept"),
        kept=kept,
        steps=tuple(_step(name, counts[name], work, settings.examples) for name in names),
        sources=tuple(_source(index, path, files, counts) for index, path in enumerate(settings.sources)),
        overlap=tuple(
            each.model_copy(
                update={
                    "paragraphs": counts["overlap"][f"part:{each.path}"],
                    "documents": counts["overlap"][f"documents:{each.path}"],
                }
            )
            for each in sets
        ),
        unread=counts["raw"]["unread"] + len(other),
        unread_examples=tuple(unread[:_UNREAD_SHOWN]),
        texts=TEXTS,
        texts_sha256=digest_file(folder / TEXTS),
    )


def _reason(unread: UnreadText) -> str:
    return f"{unread.path}: {unread.reason}"


def _statistics(work: Path) -> dict[str, Counter[str]]:
    """datatrove's statistics of the stages that count, added over their tasks: step to label to number."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in ("raw", "written", *STEPS)}
    for stage in ("rules", "corpus"):
        for file in sorted((work / "logs" / stage / "stats").glob("*.json")):
            for step in json.loads(file.read_text(encoding="utf-8")):
                name = step["name"].removeprefix("hone: ")
                if not step["name"].startswith("hone: ") or name not in counts or (stage == "rules" and name == "written"):
                    continue
                for label, value in step["stats"].items():
                    counts[name][label] += int(value["total"] if isinstance(value, dict) else value)
    return counts


def _step(name: str, counts: Counter[str], work: Path, shown: int) -> StepRecord:
    return StepRecord(
        name=name,
        kept=_amount(counts, "kept"),
        removed=_by(counts, "removed:"),
        changed=counts["changed"],
        parts=_by(counts, "part:"),
        examples=_spread([Removed.model_validate(row) for row in _examples(work, name)], shown),
    )


def _spread(rows: Sequence[Removed], shown: int) -> tuple[Removed, ...]:
    """Some of each reason, the reasons in the order they came."""
    by_reason: dict[str, list[Removed]] = {}
    for row in rows:
        by_reason.setdefault(row.reason, []).append(row)
    return tuple(row for group in by_reason.values() for row in group[:shown])


def _source(index: int, path: str, files: Sequence[SourceFile], counts: dict[str, Counter[str]]) -> SourceRecord:
    own = [file for file in files if file.source == index]
    return SourceRecord(
        path=path,
        files=len(own),
        bytes=sum(file.size for file in own),
        raw=_amount(counts["raw"], f"source_{index}"),
        kept=_amount(counts["written"], f"source_{index}"),
    )


def _amount(counts: Counter[str], label: str) -> Amount:
    return Amount(
        documents=counts[f"{label}_documents"], words=counts[f"{label}_words"], characters=counts[f"{label}_characters"]
    )


def _by(counts: Counter[str], prefix: str) -> dict[str, int]:
    """The labels with a prefix, without it, the most frequent first; none of zero."""
    found = Counter({label.removeprefix(prefix): number for label, number in counts.items() if label.startswith(prefix)})
    return {label: number for label, number in found.most_common() if number}


def _examples(work: Path, step: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for file in sorted((work / "examples").glob(f"{step}-*.jsonl")):
        rows += [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return rows
