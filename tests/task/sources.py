"""Files of rows as people have them, for the tests that read them."""

import csv
import json

__all__ = ["write"]


def write(tmp_path, rows, *, form="jsonl"):
    """Rows as JSON lines or CSV, with lists and objects as JSON in its cells; returns the path."""
    path = tmp_path / f"rows.{form}"
    if form == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return str(path)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for row in rows:
            writer.writerow({key: json.dumps(cell) if isinstance(cell, (list, dict)) else cell for key, cell in row.items()})
    return str(path)
