"""An index finds what exact arithmetic finds, embeds nothing twice, survives a kill, and refuses other weights."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from library import MARKDOWN

from hone.core.errors import BadData, BadModel, Failed, MissingPackage, Usage
from hone.retrieve import ChunkSettings, Document, Documents, Index, IndexSettings, open_index, read_documents
from hone.retrieve.index import fused
from hone.retrieve.store import Hit, Store, only_one
from tiny import SENTENCES, save_encoder

TESTS = Path(__file__).parents[1]


def texts(count=12):
    """A document per sentence, and more by joining two."""
    made = [*SENTENCES, *(f"{a} {b}" for a in SENTENCES for b in SENTENCES)]
    return Documents("memory", [Document(f"d{at}", text) for at, text in enumerate(made[:count])])


@pytest.fixture
def built(tmp_path, encoder, small):
    """An index of a hundred short documents."""
    return Index.build(texts(100), tmp_path / "index", encoder=encoder, settings=small)


def test_vector_search_is_the_exact_ranking_by_cosine(built, encoder):
    queries = ["where is my money", "the courier"]
    everything = built.passages()
    cosines = encoder.embed(queries) @ encoder.embed([passage.text for passage in everything]).T
    for found, row in zip(built.search(queries, k=7, mode="vector"), cosines, strict=True):
        best = np.sort(row)[::-1][:7]
        assert [passage.score for passage in found] == pytest.approx(best.tolist(), abs=1e-5)
        assert found[0].text == everything[int(row.argmax())].text


def test_word_search_finds_other_forms_of_a_word_and_only_passages_that_hold_it(built):
    [found] = built.search(["charging"], k=50, mode="text")
    assert found
    assert all("charged" in passage.text for passage in found)
    assert [passage.score for passage in found] == sorted((passage.score for passage in found), reverse=True)


def test_words_as_they_stand_know_no_other_forms(tmp_path, encoder):
    settings = IndexSettings(chunks=ChunkSettings(tokens=24), language=None)
    index = Index.build(texts(), tmp_path / "index", encoder=encoder, settings=settings)
    assert index.search(["charging"], k=5, mode="text") == [[]]
    assert len(index.search(["charged"], k=5, mode="text")[0]) == 1


def test_signs_that_mean_something_elsewhere_are_only_words(built):
    found = built.search(['"courier" AND (lost OR -letter)* ^2 ~', "!!!", "the of"], k=3, mode="text")
    assert "courier" in found[0][0].text
    assert found[1:] == [[], []]


def test_scripts_without_spaces_are_searched_by_their_words(tmp_path, encoder, small):
    documents = Documents("memory", [Document("a", "东京是日本的首都"), Document("b", "巴黎是法国的城市")])
    index = Index.build(documents, tmp_path / "index", encoder=encoder, settings=small)
    assert [passage.document for passage in index.search(["首都"], k=5, mode="text")[0]] == ["a"]


def test_fusion_sums_reciprocal_ranks():
    first, second = [Hit(7, 0.9), Hit(3, 0.8), Hit(5, 0.7)], [Hit(3, 12.0), Hit(9, 11.0)]
    found = fused([first, second])
    assert [hit.number for hit in found] == [3, 7, 9, 5]
    assert [hit.score for hit in found] == pytest.approx([1 / 62 + 1 / 61, 1 / 61, 1 / 62, 1 / 63])


def test_hybrid_search_is_the_fusion_of_both(built):
    query = ["my courier lost the parcel in the rain"]
    [vector], [text] = (built.search(query, k=50, mode=mode) for mode in ("vector", "text"))
    [both] = built.search(query, k=10, mode="hybrid")
    expected = {}
    for ranking in (vector, text):
        for rank, passage in enumerate(ranking, 1):
            place = (passage.document, passage.start)
            expected[place] = expected.get(place, 0) + 1 / (60 + rank)
    best = sorted(expected.values(), reverse=True)[:10]
    assert [passage.score for passage in both] == pytest.approx(best)
    assert [expected[passage.document, passage.start] for passage in both] == pytest.approx(best)


def test_a_citation_points_at_the_words_it_shows(tmp_path, library, encoder, small):
    index = Index.build(read_documents(str(library)), tmp_path / "index", encoder=encoder, settings=small)
    [found] = index.search(["how is a refund paid"], k=3, mode="text")
    assert (found[0].document, found[0].title) == ("desk.md", "Parcel desk > Refunds")
    assert MARKDOWN[found[0].start : found[0].end] == found[0].text
    assert {each.path for each in index.record.set_aside} >= {"broken.pdf", "empty.txt"}


def test_several_queries_find_what_each_finds_alone(built):
    for mode in ("hybrid", "vector", "text"):
        together = built.search(list(SENTENCES[:5]), k=4, mode=mode)
        alone = [built.search([query], k=4, mode=mode)[0] for query in SENTENCES[:5]]
        assert [[p.document for p in row] for row in together] == [[p.document for p in row] for row in alone]


def test_a_blank_question_is_refused(built):
    with pytest.raises(Usage, match="Question 2 of 2 is empty"):
        built.search(["late", " "], k=1)
    assert built.search([], k=1) == []


def test_an_index_opened_again_finds_the_same(built, encoder):
    again = open_index(built.folder, encoder=encoder)
    assert again.record == built.record
    assert again.search(["late"], k=5) == built.search(["late"], k=5)


def test_only_what_is_new_is_embedded_and_what_is_gone_leaves(tmp_path, encoder, small, monkeypatch):
    """Also when a document is only renamed, or one word of it changes."""
    seen = []
    embed = type(encoder).embed

    def counted(self, wanted, **more):
        seen.extend(wanted)
        return embed(self, wanted, **more)

    monkeypatch.setattr(type(encoder), "embed", counted)
    out = tmp_path / "index"

    def build(*documents):
        seen.clear()
        index = Index.build(Documents("memory", list(documents)), out, encoder=encoder, settings=small)
        changes = index.record.changes
        return (
            index,
            list(seen),
            (changes.added, changes.changed, changes.unchanged, changes.removed),
            (changes.embedded, changes.reused),
        )

    a, b, c = (Document(name, text) for name, text in zip("abc", SENTENCES, strict=False))
    _, embedded, _, counts = build(a, b)
    assert (len(embedded), counts) == (2, (2, 0))
    _, embedded, changes, counts = build(a, b)
    assert (embedded, changes, counts) == ([], (0, 0, 2, 0), (0, 2))
    renamed, changed = Document("z", a.text), Document("b", b.text + " too")
    index, embedded, changes, counts = build(renamed, changed, c)
    assert (embedded, changes, counts) == ([changed.text, c.text], (2, 1, 0, 1), (2, 1))
    assert {passage.document: passage.text for passage in index.passages()} == {"z": a.text, "b": changed.text, "c": c.text}
    again = open_index(out, encoder=encoder).search([a.text], k=1, mode="vector")[0][0]
    assert (again.document, again.score) == ("z", pytest.approx(1, abs=1e-5))
    assert len(list(out.glob("*.lance"))) == 1


def test_building_again_without_a_change_is_no_new_index(built, encoder, small):
    """Else what was compared with it would refuse it."""
    record = built.record.model_copy(update={"built": "2026-01-02T03:04:05+00:00"})
    (built.folder / "index.json").write_text(record.to_json(), encoding="utf-8")
    again = Index.build(texts(100), built.folder, encoder=encoder, settings=small)
    assert (again.record.built, again.record.table) == (record.built, record.table)
    changed = Index.build(texts(99), built.folder, encoder=encoder, settings=small)
    assert changed.record.built != record.built


def test_other_settings_cut_anew(tmp_path, encoder, small):
    first = Index.build(texts(30), tmp_path / "index", encoder=encoder, settings=small)
    finer = IndexSettings(chunks=ChunkSettings(tokens=8))
    second = Index.build(texts(30), tmp_path / "index", encoder=encoder, settings=finer)
    assert second.record.passages > first.record.passages
    assert second.record.settings == finer


KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
import torch
from hone.catalogue import locate_model
from hone.model import load_encoder
from hone.retrieve import ChunkSettings, Document, Documents, Index, IndexSettings
import hone.retrieve.index as module
from tiny import SENTENCES

module._BLOCK = 8
encoder = load_encoder(locate_model({model!r}), precision="fp32", device=torch.device("cpu"))
embed, calls = encoder.embed, []

def dies(texts, **more):
    calls.append(len(texts))
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return embed(texts, **more)

encoder.embed = dies
documents = [Document(f"new{{at}}", f"{{a}} {{at}}") for at, a in enumerate(SENTENCES * 3)]
Index.build(Documents("memory", documents), Path({out!r}), encoder=encoder, settings=IndexSettings(chunks=ChunkSettings(tokens=24)))
"""


def test_a_killed_build_leaves_the_old_index_and_the_next_goes_on_from_there(tmp_path, encoder, encoder_path, small):
    out = tmp_path / "index"
    before = Index.build(texts(5), out, encoder=encoder, settings=small)
    code = KILLED.format(tests=str(TESTS), model=str(encoder_path("bert")), out=str(out))
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(list(out.glob("*.lance"))) == 2
    after = open_index(out, encoder=encoder)
    assert after.record == before.record
    assert after.search(["late"], k=5) == before.search(["late"], k=5)
    documents = [Document(f"new{at}", f"{text} {at}") for at, text in enumerate(SENTENCES * 3)]
    whole = Index.build(Documents("memory", documents), out, encoder=encoder, settings=small)
    assert whole.record.changes.reused == 16  # two blocks of eight were written before the kill
    assert whole.record.passages == 36
    assert whole.document_names() == {f"new{at}" for at in range(36)}
    assert len(list(out.glob("*.lance"))) == 1


def test_a_build_that_fails_leaves_the_old_index(tmp_path, encoder, small, monkeypatch):
    before = Index.build(texts(5), tmp_path / "index", encoder=encoder, settings=small)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("hone.retrieve.store.PassageTable.prepare", full)
        with pytest.raises(OSError, match="No space"):
            Index.build(texts(20), tmp_path / "index", encoder=encoder, settings=small)
    assert open_index(tmp_path / "index", encoder=encoder).record == before.record


def test_an_index_in_the_place_of_a_file_is_refused(tmp_path):
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(Usage, match="is a file, and a folder is to be written"), only_one(tmp_path / "notes"):
        pass


def test_two_builds_at_once_are_refused(tmp_path, encoder, small):
    with only_one(tmp_path / "index"), pytest.raises(Failed, match="Another process is building"):
        Index.build(texts(5), tmp_path / "index", encoder=encoder, settings=small)


def test_other_weights_are_refused_by_their_digests(tmp_path, built):
    other = save_encoder(tmp_path / "other", "bert", seed=1)
    with pytest.raises(BadModel, match="its vectors mean something else"):
        open_index(built.folder, model=str(other))


def test_other_weights_build_everything_anew(tmp_path, built, small):
    import torch

    from hone.catalogue import locate_model
    from hone.model import load_encoder

    other = load_encoder(
        locate_model(str(save_encoder(tmp_path / "other", "bert", seed=1))), precision="fp32", device=torch.device("cpu")
    )
    again = Index.build(texts(100), built.folder, encoder=other, settings=small)
    assert again.record.changes.embedded == again.record.passages
    assert again.record.model_sha256 != built.record.model_sha256
    assert again.search([SENTENCES[3]], k=1, mode="vector")[0][0].score == pytest.approx(1, abs=1e-5)


def test_a_folder_with_other_files_is_left_alone(tmp_path, encoder, small):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(Usage, match="not empty and holds no index"):
        Index.build(texts(), tmp_path, encoder=encoder, settings=small)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_no_index_and_a_damaged_one_say_so(tmp_path, built, encoder):
    with pytest.raises(BadData, match=r"holds no index\. Build one with: hone index"):
        open_index(tmp_path / "nowhere", encoder=encoder)
    record = built.folder / "index.json"
    kept = record.read_text()
    record.write_text(json.dumps({**json.loads(kept), "table": "passages-gone"}))
    with pytest.raises(BadData, match="lacks its table passages-gone"):
        open_index(built.folder, encoder=encoder)
    record.write_text("{")
    with pytest.raises(BadData, match="no index of this version"):
        open_index(built.folder, encoder=encoder)


def test_a_damaged_table_is_told_and_the_next_build_mends_it(built, encoder, small):
    for file in built.folder.glob("*.lance/data/*"):
        file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(BadData, match="is damaged"):
        open_index(built.folder, encoder=encoder).search(["late"], k=3)
    mended = Index.build(texts(90), built.folder, encoder=encoder, settings=small)
    assert mended.record.changes.embedded == mended.record.passages
    assert mended.search([SENTENCES[0]], k=1, mode="vector")[0][0].score == pytest.approx(1, abs=1e-5)


def test_a_build_killed_before_its_first_block_is_no_hindrance(built, encoder, small):
    Store(built.folder).create(built.record.table[:-8] + "00000000", width=encoder.width)
    again = Index.build(texts(101), built.folder, encoder=encoder, settings=small)
    assert again.record.changes.unchanged == 100
    assert again.record.changes.embedded <= 2  # the passages of the one new document
    assert len(list(built.folder.glob("*.lance"))) == 1


def test_documents_without_a_word_are_refused(tmp_path, encoder, small):
    with pytest.raises(BadData, match="no words"):
        Index.build(Documents("memory", [Document("a", " \n")]), tmp_path / "index", encoder=encoder, settings=small)


def test_without_lancedb_the_extra_is_named(tmp_path, encoder, small, monkeypatch):
    monkeypatch.setitem(sys.modules, "lancedb", None)
    with pytest.raises(MissingPackage, match=r"hone-lm\[retrieve\]"):
        Index.build(texts(), tmp_path / "index", encoder=encoder, settings=small)


def test_an_approximate_index_finds_nearly_what_exact_search_finds(tmp_path, encoder):
    pairs = [(a, b) for a in SENTENCES for b in SENTENCES * 3]
    documents = Documents("memory", [Document(f"d{at}", f"{a} {b} {at}") for at, (a, b) in enumerate(pairs)])
    settings = IndexSettings(chunks=ChunkSettings(tokens=60), approximate_from=256)
    index = Index.build(documents, tmp_path / "index", encoder=encoder, settings=settings)
    assert index.record.is_approximate
    near = index.search(SENTENCES, k=10, mode="vector")
    exact = index.search(SENTENCES, k=10, mode="vector", is_exact=True)
    hits = [len({p.document for p in a} & {p.document for p in b}) for a, b in zip(near, exact, strict=True)]
    assert sum(hits) >= 0.8 * 10 * len(SENTENCES)


def test_an_index_inside_its_source_is_no_document(tmp_path, library, encoder, small):
    out = library / "index"
    first = Index.build(read_documents(str(library), leave_out=out), out, encoder=encoder, settings=small)
    second = Index.build(read_documents(str(library)), out, encoder=encoder, settings=small)
    assert second.record.changes.unchanged == first.record.documents
