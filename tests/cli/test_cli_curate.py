"""`hone curate` from end to end: the table on stdout, the record as JSON, and one clear line for what cannot be."""

import gzip
import json
import random

import pytest

from hone.cli.main import run
from hone.curate import CurationRecord


@pytest.fixture
def texts(tmp_path):
    """Three sound texts, one of them twice, and one that is too short."""
    rng = random.Random(0)

    def text():
        made = ["".join(rng.choices("abdeiklmnorstu", k=6)) for _ in range(80)]
        return " ".join(
            f"The {made[at]} and the {made[at + 1]} of that {made[at + 2]} have {made[at + 3]}." for at in range(0, 80, 4)
        )

    rows = [text(), text(), text()]
    path = tmp_path / "texts.jsonl"
    path.write_text(
        "".join(
            json.dumps({"text": row}) + "\n" for row in [*rows, rows[0], "Too short a text to be one that is kept in the end."]
        ),
        encoding="utf-8",
    )
    return path


def curate(texts, *more):
    return run(["curate", str(texts), "--out", str(texts.parent / "out"), "--without", "language,repetition", *more])


def test_texts_are_curated_and_a_second_call_reads_the_result(texts, capfd):
    assert curate(texts) == 0
    out, err = capfd.readouterr()
    assert out.splitlines()[0].split() == ["After", "Documents", "%", "Words", "%", "Characters", "%", "Removed"]
    assert "Gopher quality: short doc 1." in out
    assert "exact duplicates: the same text 1." in out
    assert "Kept 3 of 5 documents" in out
    assert "datatrove" not in err
    with gzip.open(texts.parent / "out" / "texts.jsonl.gz", "rt") as file:
        assert len(file.readlines()) == 3
    assert curate(texts, "--quiet", "--json") == 0
    out, err = capfd.readouterr()
    assert CurationRecord.model_validate_json(out).kept.documents == 3
    assert err == ""


def test_a_written_configuration_repeats_the_run(texts, capfd):
    assert curate(texts, "--set", "quality.min_words=5", "--set", "c4.min_sentences=1") == 0
    assert "Kept 4 of 5 documents" in capfd.readouterr().out
    again = ["curate", "--config", str(texts.parent / "out" / "config.yaml"), "--out", str(texts.parent / "again")]
    assert run(again) == 0
    assert "Kept 4 of 5 documents" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--set", "quality.min_wrods=5"], "'quality' has no threshold 'min_wrods'. Did you mean 'min_words'?"),
        (["--set", "qualty.min_words=5"], "'qualty' has no thresholds. Did you mean 'quality'?"),
        (["--set", "quality.min_words=none"], "--set quality.min_words=none: Input should be a valid integer"),
        (["--set", "min_words"], "is not STEP.NAME=VALUE"),
        (["--only", "neer"], "step 'neer' is not known. Did you mean 'near'?"),
        (["--executor", "slurm"], "Slurm needs the name of a partition"),
        (["--not-in", "none.jsonl"], "none.jsonl does not exist"),
        (["--text", "body"], "no column 'body'"),
    ],
)
def test_what_cannot_be_is_one_clear_error_and_leaves_nothing(texts, capfd, more, said):
    assert curate(texts, *more) == 3
    out, err = capfd.readouterr()
    assert said in err
    assert "Traceback" not in err
    assert out == ""
    assert not (texts.parent / "out" / "curation.json").exists()


def test_no_source_is_said(capfd):
    assert run(["curate"]) == 3
    assert "needs files or folders of text" in capfd.readouterr().err
