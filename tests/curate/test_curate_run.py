"""A whole curation: each step counts what it removes, the corpus is what was kept, and a run that is killed goes on."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from corpus import document, read_rows, settings_of, write_rows, write_texts

from hone.core.claim import only_process
from hone.core.errors import BadData, Failed, Usage
from hone.curate import CurateSettings, CurationRecord, curate_texts, curation_table
from hone.curate.judges import Mask
from hone.curate.steps import shard_path

TESTS = Path(__file__).parents[1]


def step(record, name):
    return next(each for each in record.steps if each.name == name)


def test_each_step_says_what_it_removed(curated):
    record, _ = curated
    assert record.raw.documents == 19
    assert step(record, "c4").removed == {"curly_bracket": 1}
    assert step(record, "fineweb").removed == {"line_punct_ratio": 1}
    assert step(record, "language").removed == {"language de": 1}
    assert step(record, "exact").removed == {"the same text": 1}
    assert step(record, "near").removed == {"nearly the same text": 1}
    assert step(record, "pii").parts == {"email": 1, "phone": 1}
    assert record.overlap[0].paragraphs == record.overlap[0].documents == 1
    assert record.kept.documents == 14
    assert record.unread == 1


def test_the_numbers_of_the_steps_follow_from_each_other(curated):
    record, folder = curated
    before = record.raw
    for each in record.steps:
        assert before.documents - each.kept.documents == sum(each.removed.values())
        assert each.kept.characters <= before.characters or each.name == "pii"
        before = each.kept
    rows = read_rows(folder)
    assert record.kept == before
    assert (before.documents, before.characters) == (len(rows), sum(len(row["text"]) for row in rows))
    assert before.words == sum(len(row["text"].split()) for row in rows)
    for amount in ("raw", "kept"):
        assert sum(getattr(source, amount).characters for source in record.sources) == getattr(record, amount).characters


def test_the_corpus_holds_what_was_kept_once_masked_and_without_the_question(curated):
    _, folder = curated
    texts = [row["text"] for row in read_rows(folder)]
    assert len(set(texts)) == len(texts)
    # Of a pair of duplicates either may stay: the exact ones differ in case.
    assert {document(seed) for seed in range(12)} - set(texts) <= {document(1), document(2)}
    together = "\n".join(texts)
    assert "<EMAIL> or call <PHONE>" in together
    assert "seventeen sheep" not in together
    assert document(21) in together
    assert "Fischer" not in together


def test_the_record_shows_examples_of_what_went_and_reads_back(curated):
    record, folder = curated
    (example,) = step(record, "c4").examples
    assert (example.name, example.reason) == ("web/c.jsonl:1", "curly_bracket")
    assert example.beginning.startswith("By Ann Lee, <EMAIL>. " + document(0)[:100])
    assert CurationRecord.model_validate_json((folder / "curation.json").read_text()) == record
    page = (folder / "README.md").read_text()
    assert "1 documents: curly bracket" in page
    assert "web/c.jsonl line 7" in page
    assert not (folder / "work").exists()


def test_the_table_fits_a_terminal_and_says_what_was_kept(curated):
    table = curation_table(curated[0])
    assert max(map(len, table.splitlines())) <= 100
    assert "Kept 14 of 19 documents" in table
    assert "C4 lines and pages: curly bracket 1." in table


def test_other_parts_keep_as_many(crawl, curated, tmp_path):
    """Which of two duplicates stays may differ."""
    record, _ = curate_texts(settings_of(crawl, tmp_path / "one", tasks=1))
    assert record is not None
    assert [each.kept.documents for each in record.steps] == [each.kept.documents for each in curated[0].steps]


def test_two_workers_make_the_same_corpus_as_one(crawl, tmp_path):
    """Few steps, since each stage starts its processes anew; every kind of step travels to them."""
    runs = [
        curate_texts(settings_of(crawl, tmp_path / f"{workers}", workers=workers, only=("language", "c4", "overlap", "pii")))
        for workers in (1, 2)
    ]
    assert runs[0][0].steps == runs[1][0].steps
    assert len({(folder / "texts.jsonl.gz").read_bytes() for _, folder in runs}) == 1


def test_a_failed_run_leaves_no_corpus_and_goes_on_where_it_stopped(crawl, curated, tmp_path, monkeypatch):
    settings = settings_of(crawl, tmp_path / "out")
    with monkeypatch.context() as patched:
        patched.setattr(Mask, "__call__", lambda self, document, count: 1 / 0)
        with pytest.raises(Failed, match=r"'corpus' failed: ZeroDivisionError.*goes on from there"):
            curate_texts(settings)
    assert not (tmp_path / "out" / "curation.json").exists()
    assert not (tmp_path / "out" / "texts.jsonl.gz").exists()
    passed = shard_path(tmp_path / "out" / "work" / "passed", 0)
    written = passed.stat().st_mtime_ns
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)  # so that the work can be looked at
    record, folder = curate_texts(settings)
    assert passed.stat().st_mtime_ns == written
    assert record is not None
    assert [each.model_dump() for each in record.steps] == [each.model_dump() for each in curated[0].steps]
    assert (folder / "texts.jsonl.gz").read_bytes() == (curated[1] / "texts.jsonl.gz").read_bytes()


KILLED = """
import os, signal, sys
sys.path[:0] = [{tests!r}, {tests!r} + "/curate"]
from pathlib import Path
from corpus import settings_of
from hone.curate import curate_texts
from hone.curate.pii import mask_personal
import hone.curate.judges as judges

def killed(text):
    if "<EMAIL>" in (masked := mask_personal(text))[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return masked

judges.mask_personal = killed
curate_texts(settings_of(Path({crawl!r}), Path({out!r})))
"""


def test_a_killed_run_leaves_nothing_that_looks_whole_and_goes_on(crawl, curated, tmp_path):
    code = KILLED.format(tests=str(TESTS), crawl=str(crawl), out=str(tmp_path / "out"))
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"run.key", ".lock", "config.yaml", "work"}
    _, folder = curate_texts(settings_of(crawl, tmp_path / "out"))
    assert (folder / "texts.jsonl.gz").read_bytes() == (curated[1] / "texts.jsonl.gz").read_bytes()


def test_a_finished_run_is_read_and_another_does_not_take_its_folder(crawl, curated):
    record, folder = curated
    assert curate_texts(settings_of(crawl, folder, workers=3)) == (record, folder)
    with pytest.raises(Usage, match="holds a run with other rows or settings"):
        curate_texts(settings_of(crawl, folder, without=("pii",)))


def test_a_second_process_in_the_same_folder_is_refused(crawl, tmp_path):
    with only_process(tmp_path / "out"), pytest.raises(Failed, match="Another process is working in"):
        curate_texts(settings_of(crawl, tmp_path / "out"))


def test_only_the_steps_asked_for_run(crawl, tmp_path):
    record, folder = curate_texts(settings_of(crawl, tmp_path / "out", only=("exact",), not_in=()))
    assert [each.name for each in record.steps] == ["exact"]
    assert record.kept.documents == 18
    assert any("ann@example.com" in row["text"] for row in read_rows(folder))


def test_whole_documents_go_where_that_is_asked(crawl, tmp_path):
    record, _ = curate_texts(settings_of(crawl, tmp_path / "out", only=("overlap",), overlap_removes="document"))
    assert step(record, "overlap").removed == {str(crawl / "test.jsonl"): 1}


def test_rows_of_an_evaluation_set_that_cannot_be_read_are_told_and_kept_in_record_and_card(crawl, tmp_path, capsys):
    test = tmp_path / "test.jsonl"
    test.write_bytes((crawl / "test.jsonl").read_bytes() + b"{broken\n" * 2)
    record, folder = curate_texts(settings_of(crawl, tmp_path / "out", only=("overlap",), not_in=(str(test),)))
    assert (record.overlap[0].texts, record.overlap[0].unread, record.overlap[0].paragraphs) == (1, 2, 1)
    assert "2 of its rows cannot be read" in capsys.readouterr().err
    assert "2 of its rows could not be read" in (folder / "README.md").read_text()


def test_titles_sources_and_licences_stay(tmp_path):
    row = {"text": document(1), "title": "One", "source": "here", "licence": "CC0", "id": 7}
    write_rows(tmp_path / "a.jsonl", [row])
    _, folder = curate_texts(CurateSettings(sources=(str(tmp_path / "a.jsonl"),), out=str(tmp_path / "out")))
    assert read_rows(folder) == [{"text": document(1), "title": "One", "source": "here", "licence": "CC0"}]


def test_a_part_of_which_nothing_is_left_is_no_trouble(tmp_path):
    write_texts(tmp_path / "in" / "a.jsonl", ["Too short."] * 3)
    write_texts(tmp_path / "in" / "b.jsonl", [document(1)])
    record, _ = curate_texts(CurateSettings(sources=(str(tmp_path / "in"),), out=str(tmp_path / "out"), tasks=3))
    assert record is not None
    assert record.kept.documents == 1


def test_a_corpus_of_which_nothing_is_left_is_an_error_that_says_where_it_went(tmp_path):
    write_texts(tmp_path / "a.jsonl", ["This text is too short to be kept.", "And that of the others is shorter."])
    with pytest.raises(BadData, match=r"Nothing of 2 documents was left; most went at the step 'repetition'.*--without"):
        curate_texts(CurateSettings(sources=(str(tmp_path / "a.jsonl"),), out=str(tmp_path / "out")))
    assert not (tmp_path / "out" / "curation.json").exists()


def test_where_nothing_can_be_read_the_reasons_are_named(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "latin.txt").write_bytes("caf\xe9 au lait".encode("latin-1"))
    (tmp_path / "in" / "z.json").write_text('[{"name": "x", "v": 1}]', encoding="utf-8")
    with pytest.raises(BadData, match=r"(?s)no text in .*latin\.txt: not UTF-8.*z\.json: no column is named 'text'"):
        curate_texts(CurateSettings(sources=(str(tmp_path / "in"),), out=str(tmp_path / "out")))


def test_a_run_below_its_own_source_is_continued_and_then_read(tmp_path, monkeypatch):
    """Without a folder named, the run lies in runs/ below the folder that is curated."""
    write_texts(tmp_path / "a.jsonl", [document(1), document(2)])
    monkeypatch.chdir(tmp_path)
    settings = CurateSettings(sources=(".",))
    with monkeypatch.context() as patched:
        patched.setattr(Mask, "__call__", lambda self, document, count: 1 / 0)
        with pytest.raises(Failed):
            curate_texts(settings)
    record, folder = curate_texts(settings)
    assert (record.raw.documents, record.unread) == (2, 0)
    assert curate_texts(settings) == (record, folder)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [folder.name]


def test_what_is_refused_at_the_start_leaves_no_folder(tmp_path):
    write_texts(tmp_path / "a.jsonl", [document(1)])
    with pytest.raises(Usage, match="language 'xx'"):
        curate_texts(CurateSettings(sources=(str(tmp_path / "a.jsonl"),), language="xx", out=str(tmp_path / "out")))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"without": ("c5",)}, "step 'c5' is not known. Known: c4"),
        ({"only": ("c4",), "without": ("c4",)}, "no step is left"),
        ({"only": ("overlap",)}, "needs the evaluation sets"),
        ({"executor": "slurm"}, "needs the name of a partition"),
        ({"quality": {"min_wrods": 3}}, "min_wrods"),
    ],
)
def test_settings_that_mean_nothing_are_refused(changed, said):
    with pytest.raises(ValueError, match=said):
        CurateSettings.model_validate({"sources": ("x",), **changed})


def test_the_languages_own_steps_need_no_network_and_no_fetched_model(crawl, tmp_path):
    """All of it in a new process whose sockets are closed, and without spaCy or NLTK's data."""
    code = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise OSError('offline')\n"
        "socket.getaddrinfo = refuse\n"
        f"sys.path[:0] = [{str(TESTS)!r}, {str(TESTS / 'curate')!r}]\n"
        "from pathlib import Path\nfrom corpus import settings_of\nfrom hone.curate import curate_texts\n"
        f"curate_texts(settings_of(Path({str(crawl)!r}), Path({str(tmp_path / 'out')!r})))\n"
        "sys.stdout.write(' '.join(sorted({'spacy', 'nltk', 'torch', 'transformers'} & set(sys.modules))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=120, env=dict(os.environ)
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert json.loads((tmp_path / "out" / "curation.json").read_text())["kept"]["documents"] == 14
    assert "datatrove" not in done.stderr
