"""A retriever's numbers: what counts as right, which questions can be asked, and the table."""

import json

import pytest

from hone.core.errors import BadData
from hone.retrieve import (
    Document,
    Documents,
    Index,
    Question,
    Questions,
    evaluate_index,
    read_documents,
    read_questions,
    scores_table,
)
from tiny import SENTENCES


@pytest.fixture
def index(tmp_path, encoder, small):
    documents = [Document(f"d{at}", text) for at, text in enumerate(SENTENCES)]
    return Index.build(Documents("memory", documents), tmp_path / "index", encoder=encoder, settings=small)


def values(evaluated, mode):
    [scores] = [each.scores for each in evaluated.modes if each.mode == mode]
    return {score.metric: score.value for score in scores}


def test_a_documents_own_words_find_it_first_by_vector(index):
    """Each text asked for itself has cosine 1."""
    asked = Questions([Question(text, documents=(f"d{at}",)) for at, text in enumerate(SENTENCES)], [])
    evaluated = evaluate_index(index, asked)
    assert values(evaluated, "vector") == {"recall@1": 1, "recall@5": 1, "recall@20": 1, "mrr@10": 1, "ndcg@10": 1}
    assert [each.mode for each in evaluated.modes] == ["hybrid", "vector", "text"]
    assert all(each.milliseconds > 0 for each in evaluated.modes)
    vector = evaluated.modes[1].scores[0]
    assert vector.high == 1
    assert vector.low < 0.9  # twelve questions are no certainty


def test_a_passage_is_right_by_whole_words_of_an_answer_and_counts_once(index):
    """'age' is in 'package'; both 'The late.' and 'late' mean 'late'."""
    answers = [("three days", ("The LATE!",)), ("three days", ("age",)), ("courier", ("letter", "parcel"))]
    evaluated = evaluate_index(index, Questions([Question(text, answers=known) for text, known in answers], []))
    assert values(evaluated, "text") == {
        "recall@1": pytest.approx(2 / 3),
        "recall@5": pytest.approx(2 / 3),
        "recall@20": pytest.approx(2 / 3),
        "mrr@10": pytest.approx(2 / 3),
        "ndcg@10": pytest.approx(2 / 3),
    }
    assert evaluated.by == "answer"


def test_of_two_documents_wanted_one_found_is_half(index):
    asked = Questions([Question("courier", documents=("d7", "d0"))], [])
    found = values(evaluate_index(index, asked), "text")  # 'courier' is in d7 alone
    assert found["recall@5"] == 0.5
    assert found["mrr@10"] == 1


def test_questions_are_read_from_a_table_and_bad_rows_are_named(index, tmp_path):
    path = tmp_path / "questions.jsonl"
    rows = [
        {"question": "who lost it", "answers": ["courier", "The courier"]},
        {"question": " ", "answers": ["x"]},
        {"question": "which article", "answers": ["the"]},
        {"question": "where", "answers": "depot"},
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    read = read_questions(str(path), index)
    assert read.questions == [Question("who lost it", answers=("courier", "The courier")), Question("where", answers=("depot",))]
    assert [each.reason for each in read.set_aside] == ["no question", "no answer, or none but articles and punctuation"]


def test_a_list_in_a_cell_of_a_csv_is_a_list(index, tmp_path):
    path = tmp_path / "questions.csv"
    path.write_text('question,answers\nwho,"[""courier"", ""driver""]"\n')
    assert read_questions(str(path), index).questions == [Question("who", answers=("courier", "driver"))]


def test_documents_are_named_whole_or_by_a_rows_id(tmp_path, library, encoder, small):
    documents = read_documents(str(library / "tickets.csv"), text=["queue", "body"], id_column="id")
    index = Index.build(documents, tmp_path / "rows", encoder=encoder, settings=small)
    path = tmp_path / "questions.csv"
    path.write_text("question,document\nwhere,A1\nmoney,tickets.csv#A2\nwhat,A9\n")
    read = read_questions(str(path), index)
    assert [question.documents for question in read.questions] == [("tickets.csv#A1",), ("tickets.csv#A2",)]
    assert [each.reason for each in read.set_aside] == ["the index holds no document 'A9'."]


def test_a_file_without_the_columns_is_refused_with_what_it_has(index, tmp_path):
    path = tmp_path / "questions.csv"
    path.write_text("question,reply\nwho,courier\n")
    with pytest.raises(BadData, match="it has question, reply"):
        read_questions(str(path), index)
    path.write_text("question,document\nwho,d99\n")
    with pytest.raises(BadData, match=r"no question that can be used(.|\n)*holds no document 'd99'"):
        read_questions(str(path), index)


def test_the_table_fits_100_columns_and_says_what_is_right(index):
    table = scores_table(evaluate_index(index, Questions([Question(text, answers=("late",)) for text in SENTENCES], [])))
    head, *rows = table.split("\n\n")[0].splitlines()
    assert head.split() == ["Mode", "Recall@1", "Recall@5", "Recall@20", "MRR@10", "nDCG@10", "ms"]
    assert [row.split()[0] for row in rows[1:]] == ["hybrid", "vector", "text"]
    assert max(map(len, [head, *rows])) <= 100
    assert "in whole words after SQuAD normalisation" in table
