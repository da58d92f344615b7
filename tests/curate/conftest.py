"""A corpus with one of everything that is removed, and its run, made once."""

from random import Random

import pytest
from corpus import document, sentence, settings_of, write_texts

from hone.curate import curate_texts


@pytest.fixture(scope="session")
def crawl(tmp_path_factory):
    """Two folders of texts and an evaluation set, with known spoilt documents among 14 sound ones."""
    root = tmp_path_factory.mktemp("crawl")
    rng = Random(99)
    german = "Der alte Fischer ging jeden Morgen zum Hafen, weil er das Meer sehen wollte. Um 6 Uhr war die Stadt noch still. "
    question = "A farmer has seventeen sheep and all but nine of them run away; how many sheep are left on the farm?"
    spoilt = [
        "By Ann Lee, ann@example.com. " + document(0) + "\nint main() { return 0; }",
        document(1).replace("The ", "THE  "),  # the second document again, but for case and blanks
        document(2) + " One more sentence at the end of it.",  # nearly the third again
        "\n".join(sentence(rng).removesuffix(".") for _ in range(9)),
        document(20, paragraphs=1) + " Write to ann@example.com or call 415-555-2671.",
        f"{document(21)}\n\n{question}\n\n{document(22)}",
    ]
    write_texts(root / "books" / "a.jsonl.gz", [document(seed) for seed in range(6)])
    write_texts(root / "books" / "b.jsonl", [document(seed) for seed in range(6, 12)])
    write_texts(root / "web" / "c.jsonl", [*spoilt, ""])
    (root / "web" / "d.txt").write_text(german * 3 + "Der Hund schlief. Die Katze sah ihm zu. Niemand sprach.", encoding="utf-8")
    write_texts(root / "test.jsonl", [question])
    return root


@pytest.fixture(scope="session")
def curated(crawl, tmp_path_factory):
    """The run of all steps on it: (record, folder)."""
    out = tmp_path_factory.mktemp("curated") / "corpus"
    return curate_texts(settings_of(crawl, out))
