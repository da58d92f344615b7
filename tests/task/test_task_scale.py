"""A million rows: every one arrives, and memory holds the examples and little else."""

import subprocess
import sys

from hone.core.errors import BadData
from hone.task import load_table

ROWS = 1_000_000
READ = """
import sys
from hone.core.device import peak_memory
from hone.task import load_table
with peak_memory() as peak:
    table = load_table(sys.argv[1])
first, last = table.examples[0], table.examples[-1]
labels = {id(example.label) for example in table.examples}
print(len(table.examples), len(table.rejected), first.line, last.line, last.text, len(labels), peak.bytes // 2**20)
"""


def test_a_million_rows_are_read_whole_in_under_800_megabytes(tmp_path):
    path = tmp_path / "big.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write("id,text,label\n")
        file.writelines(f'{index},"short text, {index}",l{index % 7}\n' for index in range(ROWS))
    done = subprocess.run([sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=True)
    *facts, megabytes = done.stdout.split()
    assert " ".join(facts) == f"{ROWS} 0 2 {ROWS + 1} short text, {ROWS - 1} 7"
    assert int(megabytes) < 800


def test_a_file_of_broken_rows_only_is_refused_without_listing_them_all(tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("text,label\n" + "x\n" * 50_000, encoding="utf-8")
    try:
        load_table(str(path), text=["text"], label="label")
    except BadData as error:
        assert "50000 of 50000" in str(error) and len(str(error)) < 2000
    else:
        raise AssertionError("nothing was refused")
