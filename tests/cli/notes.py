"""Rows that separate by a few words, so that a comparison on them is quick and its answer is known."""

import csv
import random
from pathlib import Path

WORDS = {
    "boats": "harbour sail anchor mast tide rope deck skipper",
    "bread": "flour oven yeast crust dough loaf knead rye",
    "chess": "pawn rook castle gambit bishop board check queen",
}


def sentences(per_class: int, seed: int = 0) -> list[tuple[str, str]]:
    rng = random.Random(seed)
    rows = []
    for label, words in WORDS.items():
        for index in range(per_class):
            chosen = " ".join(rng.sample(words.split(), 4))
            rows.append((f"Note {index} about the {chosen} {rng.randint(0, 99999)}", label))
    rng.shuffle(rows)
    return rows


def write_csv(path: Path, rows: list[tuple[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(rows)
    return path
