"""A small table whose answer is known."""

from pathlib import Path

import pytest
from notes import sentences, write_csv


@pytest.fixture
def rows_csv(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "notes.csv", sentences(30))
