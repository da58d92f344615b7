"""Columns in two languages are a text and its translation: by their names, by their texts, and only then."""

import json

import pytest

from hone.core.errors import BadData
from hone.task import as_examples, load_material, usual_metric

EN = [
    "a man is sitting on the bench with his dog",
    "the children are playing in the park near a lake",
    "two women and a boy walk along the street",
    "an old man reads the newspaper at the table",
    "this is a picture of a small house by the sea",
    "the dog that was in the garden is barking",
]
DE = [
    "ein mann sitzt mit seinem hund auf der bank",
    "die kinder spielen im park und sind nicht müde",
    "zwei frauen und ein junge gehen die straße entlang",
    "ein alter mann liest die zeitung auf dem tisch",
    "das ist ein bild von einem kleinen haus und der see",
    "der hund, der im garten war, bellt und ist laut",
]
JA = [
    "男の人が犬とベンチに座っています",
    "子供たちは公園で遊んでいます",
    "女の人が二人歩いています",
    "老人が新聞を読んでいます",
    "小さな家の写真です",
    "犬がほえています",
]


def table(path, names, *columns, copies=5):
    """A file of these columns; each row is told apart by a number."""
    rows = [
        dict(zip(names, (f"{cell} {n}" for cell in cells), strict=True))
        for n in range(copies)
        for cells in zip(*columns, strict=True)
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (("en", "de"), "called by languages"),
        (("English", "German"), "called by languages"),
        (("Englisch", "Deutsch"), "called by languages"),
        (("source_text_en", "text_de"), None),
        (("english_sentence", "german_sentence"), "called by languages"),
        (("source", "target"), "by the columns' names"),
        (("src", "tgt"), "by the columns' names"),
        (("text", "translation"), "by the columns' names"),
        (("column1", "column2"), "in two languages (English, German)"),
        (("sentence", "satz"), "in two languages (English, German)"),
    ],
)
def test_two_columns_in_two_languages_are_a_translation_from_the_first_into_the_second(names, why, tmp_path):
    found = load_material(table(tmp_path / "rows.jsonl", names, EN, DE))
    assert (found.kind, found.shape, found.inputs, found.target) == ("completion", "translation", names[:1], names[1])
    assert why is None or why in found.because
    assert usual_metric(found.shape, as_examples(found)[0]) == "chrf"


def test_texts_in_two_scripts_are_two_languages(tmp_path):
    found = load_material(table(tmp_path / "rows.jsonl", ("one", "two"), EN, JA))
    assert found.shape == "translation" and "(English, Han and kana)" in found.because


def test_columns_that_identify_a_row_are_none_of_the_two(tmp_path):
    path = tmp_path / "rows.csv"
    lines = [f'{n},{one} {n},"{other} {n}"' for n, (one, other) in enumerate(zip(EN, DE, strict=True))]
    path.write_text("\n".join(["id,en,de", *lines]))
    found = load_material(str(path))
    assert (found.inputs, found.target, found.shape) == (("en",), "de", "translation")


def test_of_more_than_two_languages_two_must_be_named(tmp_path):
    path = table(tmp_path / "rows.jsonl", ("en", "de", "ja"), EN, DE, JA)
    with pytest.raises(BadData, match=r"en, de, ja are called by languages.* --prompt en --completion de"):
        load_material(path)
    assert load_material(path, prompt="de", completion="ja").shape == "translation"


def test_a_file_of_translations_without_column_names_is_refused_as_such(tmp_path):
    path = tmp_path / "rows.tsv"
    path.write_text("\n".join(f"{one}\t{other}" for one, other in zip(EN, DE, strict=True)))
    with pytest.raises(BadData, match=r"look like translations \(English, German\), and the first line like one of them"):
        load_material(str(path))


def test_two_texts_of_one_language_and_texts_with_a_label_are_no_translation(tmp_path):
    with pytest.raises(BadData):
        load_material(table(tmp_path / "same.jsonl", ("one", "two"), EN, EN[::-1]))
    rows = [
        {"en": f"{en} {n}", "de": f"{de} {n}", "intent": "ab"[n % 2]} for n in range(6) for en, de in zip(EN, DE, strict=True)
    ]
    (tmp_path / "labelled.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = load_material(str(tmp_path / "labelled.jsonl"))
    assert (found.kind, found.target) == ("classify", "intent")


def test_a_source_and_a_target_of_one_language_remain_a_rewriting(tmp_path):
    found = load_material(table(tmp_path / "rows.jsonl", ("source", "target"), EN, EN[::-1]))
    assert (found.kind, found.shape) == ("completion", "text-to-text")
