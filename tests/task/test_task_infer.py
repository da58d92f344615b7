"""Columns are chosen by name, then by content, and the choice is explained and can be overridden."""

import pytest

from hone.core.errors import BadData
from hone.task import Refused, infer_columns, load_table

WORDS = ("the parcel came late again today", "where is my refund please", "love this shoe so much", "cannot log in at all")


def infer(columns, **given):
    """Infer from columns given as {name: function of the row number}."""
    rows = [[cell(index) for cell in columns.values()] for index in range(60)]
    return infer_columns(list(columns), rows, **{"text": (), "label": None, "group": None} | given)


def text(index):
    return f"{WORDS[index % 4]} number {index}"


def test_well_known_names_are_taken():
    for name in ("label", "category", "intent", "Sentiment", "queue", "ticket_class"):
        columns = infer({"id": str, "message": text, name: lambda i: "ab"[i % 2]})
        assert (columns.text, columns.label) == (("message",), name)


@pytest.mark.parametrize("name", ["Kategorie", "Catégorie", "categoría", "Etichetta", "категория", "カテゴリ", "类别", "التصنيف"])
def test_the_label_is_known_by_its_name_in_other_languages_too(name):
    columns = infer({"Nr.": str, "Status": lambda i: ("offen", "zu")[i % 2], "Nachricht": text, name: lambda i: "abc"[i % 3]})
    assert (columns.text, columns.label) == (("Nachricht",), name)


def test_the_length_of_texts_that_the_sample_cuts_is_told_as_the_least(tmp_path):
    path = tmp_path / "long.csv"
    path.write_text("doc,topic\n" + "".join(f"{'word ' * 2000}{n},{'ab'[n % 2]}\n" for n in range(20)), encoding="utf-8")
    assert "the longest (at least 999 characters on average)" in load_table(str(path)).columns.because


def test_of_texts_whose_names_fit_alike_the_longest_is_taken():
    columns = infer(
        {
            "review_title": lambda i: f"not for me or you, sorry {i}",
            "review_html": lambda i: f"<p>{text(i)}</p>",
            "stars": lambda i: i % 5,
        }
    )
    assert columns.text == ("review_html",) and "--text review_title,review_html" in columns.because


def test_of_two_columns_that_say_the_same_the_one_in_words_is_the_label():
    columns = infer({"class": lambda i: str(i % 3), "kind": lambda i: ("sun", "rain", "snow")[i % 3], "body": text})
    assert columns.label == "kind" and "'class'" in columns.because


@pytest.mark.parametrize("words", [("yes", ""), ("a", "b", "c", None), (" ", "x", "y")])
def test_a_column_in_words_that_is_empty_for_a_class_does_not_replace_the_number(words):
    columns = infer({"text": text, "label": lambda i: i % len(words), "other": lambda i: words[i % len(words)]})
    assert columns.label == "label"


def test_a_column_in_words_may_be_empty_where_the_number_is_too():
    columns = infer({"text": text, "label": lambda i: (0, 1, None)[i % 3], "name": lambda i: ("no", "yes", "")[i % 3]})
    assert columns.label == "name"


def test_without_known_names_the_content_decides():
    columns = infer(
        {"c1": lambda i: f"2024-01-{i % 28 + 1:02d}", "c2": text, "c3": lambda i: f"m{i % 9}@x.org", "c4": lambda i: "pq"[i % 2]}
    )
    assert (columns.text, columns.label) == (("c2",), "c4")
    assert "few short values repeat" in columns.because and "longest" in columns.because


def test_identifiers_numbers_and_dates_are_never_text_or_label():
    columns = infer({"id": lambda i: str(i % 5), "created": lambda i: str(i % 4), "note": text, "score": lambda i: str(i % 2)})
    assert (columns.text, columns.label) == (("note",), "score")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("premise", "hypothesis"),
        ("sentence1", "sentence2"),
        ("Question", "passage"),
        ("question", "sentence"),
        ("TextA", "TextB"),
        ("#1 String", "#2 String"),
    ],
)
def test_two_texts_that_belong_together_are_both_read(one, other):
    columns = infer({"word": lambda i: WORDS[i % 4], other: text, one: lambda i: f"so {text(i)}", "label": lambda i: "ab"[i % 2]})
    assert columns.text == (one, other) and f"'{one}' and '{other}', a pair" in columns.because


def test_half_a_pair_that_is_empty_or_the_label_is_no_pair():
    empty = infer({"premise": text, "hypothesis": lambda i: "", "label": lambda i: "ab"[i % 2]})
    label = infer({"question": text, "sentence": lambda i: "ab"[i % 2]}, label="sentence")
    assert empty.text == ("premise",) and label.text == ("question",)


def test_another_long_text_is_mentioned_with_the_option_that_adds_it():
    columns = infer({"title": text, "description": text, "label": lambda i: "ab"[i % 2]})
    assert columns.text == ("description",) and "--text title,description" in columns.because


def test_the_reason_is_one_sentence():
    because = infer({"title": text, "description": text, "label": lambda i: "ab"[i % 2], "tag": lambda i: "abc"[i % 3]}).because
    assert because[0].isupper() and because.endswith(".") and ". " not in because and "\n" not in because


def test_what_the_user_names_is_taken_whatever_it_looks_like():
    columns = infer(
        {"label": lambda i: "ab"[i % 2], "text": text, "x": str, "y": text}, text=("x", "y"), label="text", group="label"
    )
    assert (columns.text, columns.label, columns.group, columns.because) == (("x", "y"), "text", "label", "")


def test_naming_one_column_leaves_the_other_to_inference():
    columns = infer({"title": text, "body": text, "label": lambda i: "ab"[i % 2]}, text=("title",))
    assert (columns.text, columns.label) == (("title",), "label")


def test_a_column_cannot_be_text_and_label():
    with pytest.raises(BadData, match="'text' is named as text and as label"):
        infer({"text": text, "label": text}, text=("text",), label="text")


def test_when_nothing_looks_like_a_label_the_columns_are_described():
    with pytest.raises(BadData, match=r"No column looks like the label.*question \(60 different values, such as .*--label"):
        infer({"question": text, "answer": lambda i: f"because {text(i)}"})


def test_a_sample_with_one_label_only_still_finds_the_column_by_its_name():
    assert infer({"text": text, "label": lambda i: "0"}).label == "label"


def test_a_column_that_is_empty_in_most_rows_is_neither_text_nor_label_whatever_its_name():
    rare = {"comment": lambda i: text(i) if i % 9 == 0 else "", "flag": lambda i: "xy"[i % 2] if i % 5 == 0 else None}
    columns = infer({**rare, "Post text": text, "decision": lambda i: "abc"[i % 3]})
    assert (columns.text, columns.label) == (("Post text",), "decision")


def test_a_column_that_is_empty_in_most_rows_is_taken_where_there_is_no_other():
    columns = infer({"comment": lambda i: text(i) if i % 9 == 0 else "", "label": lambda i: "ab"[i % 2] if i % 5 == 0 else ""})
    assert (columns.text, columns.label) == (("comment",), "label")


def test_a_first_line_that_is_an_example_is_not_taken_for_column_names():
    with pytest.raises(
        Refused, match=r"'b' in it stands in 30 other rows too\. Add a line with column names, such as text, label"
    ):
        infer({"what is the weather like in the north": text, "b": lambda i: "ab"[i % 2]})
    assert infer({"what people wrote": text, "spam": lambda i: ("spam", "ham")[i % 2]}).label == "spam"


def test_columns_of_lists_and_translations_are_described_with_what_to_do():
    lists = {"id": str, "turns": lambda i: ["a", "b"], "services": lambda i: [] if i else {"a": 1}, "left": lambda i: None}
    with pytest.raises(BadData, match=r"turns \(lists or objects\); services \(lists or objects\); left \(empty\)"):
        infer(lists)
    with pytest.raises(BadData, match=r"--label\. Where answers are texts, name the columns with --prompt and --completion"):
        infer({"deu_Latn": text, "spa_Latn": text})


@pytest.mark.parametrize("said", ["01", ("true", "false"), ("yes", "no")])
def test_where_the_label_says_whether_an_answer_is_right_passage_question_and_answer_are_read(said):
    judged = {"question": text, "paragraph": lambda i: f"passage {text(i)}", "answer": lambda i: f"because {text(i)}"}
    columns = infer(judged | {"label": lambda i: said[i % 2]})
    assert columns.text == ("paragraph", "question", "answer") and "whether the answer is right" in columns.because
    assert infer(judged | {"label": lambda i: "pqr"[i % 3]}).text == ("question",)
