"""What the terminal and the run folder's README say about a curation."""

import textwrap

from hone.core.console import render_table
from hone.curate.records import Amount, CurationRecord, StepRecord

__all__ = ["curation_card", "curation_table"]

TITLES = {
    "language": "language",
    "c4": "C4 lines and pages",
    "repetition": "Gopher repetition",
    "quality": "Gopher quality",
    "fineweb": "FineWeb",
    "exact": "exact duplicates",
    "near": "near duplicates",
    "overlap": "overlap with evaluation sets",
    "pii": "personal data masked",
}
_REASONS = 4


def curation_table(record: CurationRecord) -> str:
    """What each step kept, which of its rules removed the most, and what became of each source."""
    rows = [["raw", *_cells(record.raw, record.raw), ""]]
    before = record.raw
    for step in record.steps:
        gone = before.documents - step.kept.documents
        rows.append([TITLES[step.name], *_cells(step.kept, record.raw), f"{gone:,}" if gone else ""])
        before = step.kept
    headers = ["After", "Documents", "%", "Words", "%", "Characters", "%", "Removed"]
    table = render_table(headers, rows, align=["left", *["right"] * 7])  # type: ignore[list-item]
    reasons = [f"{TITLES[step.name]}: {_reasons(step)}." for step in record.steps if step.removed or step.parts]
    said = "\n".join(textwrap.fill(line, 100, subsequent_indent="  ") for line in reasons)
    sources = render_table(
        ["Source", "Files", "Documents", "Kept", "Characters", "Kept", "%"],
        [
            [
                source.path,
                f"{source.files:,}",
                f"{source.raw.documents:,}",
                f"{source.kept.documents:,}",
                f"{source.raw.characters:,}",
                f"{source.kept.characters:,}",
                _share(source.kept.characters, source.raw.characters),
            ]
            for source in record.sources
        ],
        align=["left", *["right"] * 6],  # type: ignore[list-item]
    )
    return f"{table}\n\n{said}\n\n{sources}\n\n{_sentence(record)}"


def _reasons(step: StepRecord) -> str:
    """The rules that removed the most documents, and the most inside documents."""
    whole = ", ".join(f"{_plain(reason)} {count:,}" for reason, count in list(step.removed.items())[:_REASONS])
    parts = ", ".join(f"{_plain(rule)} {count:,}" for rule, count in list(step.parts.items())[:_REASONS])
    return whole + ("; " if whole and parts else "") + (f"inside {step.changed:,} documents: {parts}" if parts else "")


def _plain(rule: str) -> str:
    """datatrove's name of a rule as words; a file's name as it is."""
    return rule if "." in rule else rule.replace("_", " ")


def _cells(amount: Amount, raw: Amount) -> list[str]:
    return [
        f"{amount.documents:,}",
        _share(amount.documents, raw.documents),
        f"{amount.words:,}",
        _share(amount.words, raw.words),
        f"{amount.characters:,}",
        _share(amount.characters, raw.characters),
    ]


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}" if whole else "-"


def _sentence(record: CurationRecord) -> str:
    said = (
        f"Kept {record.kept.documents:,} of {record.raw.documents:,} documents and {100 * record.kept_share:.1f}% of the characters, "
        f"{record.seconds:.0f} s."
    )
    return said + (f" {record.unread:,} files and rows could not be read." if record.unread else "")


def curation_card(record: CurationRecord) -> str:
    """The README of the run folder: the tables, what each rule removed with examples, and what was not looked for."""
    lines = [
        "# A curated corpus",
        "",
        f"Made by hone {record.hone_version} with datatrove {record.datatrove_version}, {record.built}. `{record.texts}` holds one JSON object per "
        f"line: `text`, and {', '.join(f'`{name}`' for name in record.settings.keep)} where the sources had them. SHA-256 `{record.texts_sha256}`.",
        "",
        "```",
        curation_table(record),
        "```",
        "",
        "## What each step removed",
    ]
    for step in record.steps:
        lines += ["", f"### {TITLES[step.name]}", ""]
        if not step.removed and not step.parts:
            lines.append("Nothing.")
        lines += [f"- {count:,} documents: {_plain(reason)}" for reason, count in step.removed.items()]
        lines += [f"- {count:,} inside documents: {_plain(rule)}" for rule, count in step.parts.items()]
        for one in step.examples:
            quoted = " ".join(one.beginning.split())
            lines += ["", f"> {one.name} ({_plain(one.reason)}, {one.characters:,} characters): {quoted}"]
    if record.overlap:
        lines += ["", "## Evaluation sets", ""]
        lines += [
            f"- {each.path}: {each.paragraphs:,} paragraphs in {each.documents:,} documents. {each.too_short:,} of its {each.texts:,} texts are "
            f"shorter than {record.settings.overlap_words} words and were not looked for."
            + (f" {each.unread:,} of its rows could not be read, in whole or in part, nor be looked for." if each.unread else "")
            for each in record.overlap
        ]
    if record.unread:
        lines += ["", "## Not read", "", f"{record.unread:,} in all; the first:", ""]
        lines += [f"- {each.path}: {each.reason}" for each in record.unread_examples]
    lines += [
        "",
        "Personal data was looked for by form and check digits only; names and addresses were not. Licences are those of the sources.",
        "",
    ]
    return "\n".join(lines)
