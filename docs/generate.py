"""Writes docs/cli.md from the commands' own help. `make docs` runs it; a test holds the page against the commands."""

import os
from pathlib import Path

from click.testing import CliRunner

from hone.cli.main import VERBS, cli

PAGE = Path(__file__).parent / "cli.md"


def command_reference() -> str:
    """The help of every verb, as Markdown."""
    os.environ["COLUMNS"] = "100"
    parts = ["# Commands\n\nWritten by `make docs` from the commands' own help.\n"]
    for verb in ("", *VERBS):
        arguments = [verb, "--help"] if verb else ["--help"]
        text = CliRunner().invoke(cli, arguments, prog_name="hone", terminal_width=100).output
        title = f"hone {verb}".strip()
        parts.append(f"## {title}\n\n```\n{text.rstrip()}\n```\n")
    parts.append(
        "Exit codes: 0 done, 1 failed while running, 2 a verdict failed, 3 wrong usage or input, 130 interrupted. "
        "stdout is the result; progress goes to stderr.\n"
    )
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(command_reference(), encoding="utf-8")
