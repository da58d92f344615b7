"""A finished run answers rows that hold nothing right, and answers them as it did at its end."""

import json
from pathlib import Path

import numpy as np
import pytest

from head_rows import lines, settings, write_files
from hone.cli.main import run
from hone.core.errors import BadData, BadModel, Usage
from hone.measure import score_entities
from hone.serve import load_answering, predict_file
from hone.tune import TunedRun, tune_rows
from tiny import SENTENCES

TARGETS = ("label", "labels", "score", "ner_tags", "pos_tags", "answers", "completion")


def without_answers(path, target):
    """The rows as they come in use: what is right is not among them."""
    rows = [{name: value for name, value in row.items() if name not in TARGETS} for row in lines(path)]
    target.write_text("\n".join(json.dumps({"id": at, **row}) for at, row in enumerate(rows)))
    return target


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("classify", "full"),
        ("classify", "lora"),
        ("classify", "top"),
        ("multi_label", "adapter"),
        ("score", "full"),
        ("score", "lora"),
        ("tag", "bias"),
        ("parts", "head"),
        ("answers", "full"),
        ("answers", "prefix"),
    ],
)
def test_rows_without_answers_are_answered_as_at_the_end_of_the_run(kind, method, model, tmp_path):
    data, test = write_files(tmp_path, kind)
    options = {"layers": 1} if method == "top" else {"tokens": 3} if method == "prefix" else {}
    tune_rows(settings(data, model("bert"), tmp_path / "run", method=method, test=test, steps=20, **options))
    source = without_answers(tmp_path / "test.jsonl", tmp_path / "new.jsonl")
    assert predict_file(load_answering(tmp_path / "run"), source, tmp_path / "out.jsonl") == 24
    found, ended = lines(tmp_path / "out.jsonl"), lines(tmp_path / "run" / "test_answers.jsonl")
    assert [row["id"] for row in found] == list(range(24))
    given, right = [row["predicted"] for row in found], [row["tuned"] for row in ended]
    assert given == (pytest.approx(right, abs=1e-4) if kind == "score" else right)
    has_confidence = [row["confidence"] != "" for row in found]
    assert all(has_confidence) if kind == "classify" else not any(has_confidence)


@pytest.mark.parametrize(
    ("kind", "method"), [("llama", "full"), ("llama", "lora"), ("llama", "prompt"), ("t5", "full"), ("t5", "lora")]
)
def test_prompts_without_completions_are_answered_as_at_the_end_of_the_run(kind, method, model, tmp_path):
    rows = [
        {"prompt": f"{text} {n}", "completion": "please refund the money" if "is" in text.split() else "it is late"}
        for n, text in enumerate(SENTENCES * 4)
    ]
    for name, part in (("rows", rows[:-8]), ("test", rows[-8:])):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in part))
    template = {"template": "say: {prompt} =>"}
    asked = settings(
        str(tmp_path / "rows.jsonl"), model(kind), tmp_path / "run", method=method, test=str(tmp_path / "test.jsonl"), **template
    )
    tune_rows(asked)
    source = without_answers(tmp_path / "test.jsonl", tmp_path / "new.jsonl")
    predict_file(load_answering(tmp_path / "run"), source, tmp_path / "out.jsonl")
    found = [row["predicted"] for row in lines(tmp_path / "out.jsonl")]
    ended = [row["tuned"] for row in lines(tmp_path / "run" / "test_answers.jsonl")]
    same = [one.startswith(other) or other.startswith(one) for one, other in zip(found, ended, strict=True)]
    assert all(same), "one may be stopped earlier, for the end of a run knows how long the right answers are"
    assert found == ended or method == "prompt"
    texts = [row["prompt"] for row in lines(source)]
    assert [one.answer for one in TunedRun(tmp_path / "run").predict(texts)] == found


def test_dialogues_are_answered_from_what_was_said_before_their_last_answer(model, tmp_path):
    rows = [
        {"messages": [{"role": "user", "content": f"{text} {n}"}, {"role": "assistant", "content": "it is late"}]}
        for n, text in enumerate(SENTENCES * 3)
    ]
    for name, part in (("rows", rows[:-4]), ("test", rows[-4:])):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in part))
    tune_rows(settings(str(tmp_path / "rows.jsonl"), model("llama"), tmp_path / "run", test=str(tmp_path / "test.jsonl")))
    opened = tmp_path / "new.jsonl"
    asked = [*({"messages": row["messages"][:1]} for row in rows[-4:]), *rows[-4:], {"messages": []}]
    opened.write_text("\n".join(json.dumps(row) for row in asked))
    predict_file(load_answering(tmp_path / "run"), opened, tmp_path / "out.jsonl")
    ended = [row["tuned"] for row in lines(tmp_path / "run" / "test_answers.jsonl")]
    assert [row["predicted"] for row in lines(tmp_path / "out.jsonl")] == [*ended, *ended, ""]
    assert [
        one.answer for one in TunedRun(tmp_path / "run").predict([row["messages"][0]["content"] for row in rows[-4:]])
    ] == ended


@pytest.mark.parametrize(("kind", "method"), [("llama", "lora"), ("t5", "full"), ("llama", "prompt")])
def test_a_run_on_choices_answers_with_the_choice_that_it_finds_likeliest(kind, method, model, tmp_path, capsys):
    """The right ones say 'refund', whatever their place: a run that learnt that chooses so among choices that it never saw together."""
    rows = [
        {
            "question": f"{text} {n}",
            "choices": ["please refund the money", "it is late"][:: 1 if n % 3 else -1],
            "answer": "please refund the money",
        }
        for n, text in enumerate(SENTENCES * 6)
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    done = tune_rows(settings(str(tmp_path / "rows.jsonl"), model(kind), tmp_path / "run", method=method, steps=60))
    assert (done.kind, done.columns, done.choice_columns) == ("choice", ("question",), ("choices",))
    source = without_answers(tmp_path / "rows.jsonl", tmp_path / "new.jsonl")
    assert predict_file(load_answering(tmp_path / "run"), source, tmp_path / "out.jsonl") == len(rows)
    found = lines(tmp_path / "out.jsonl")
    assert all(row["choices"]["AB".index(row["predicted"])] == row["predicted_text"] for row in found)
    assert all(0.5 <= row["confidence"] <= 1 for row in found)
    right = sum(row["predicted_text"] == "please refund the money" for row in found)
    assert right > 0.9 * len(rows) or method == "prompt"
    assert (
        run(["predict", str(tmp_path / "run"), "where is it", "--choice", "it is late", "--choice", "please refund the money"])
        == 0
    )
    letter, text, sure = capsys.readouterr().out.strip().split("\t")
    assert ["it is late", "please refund the money"]["AB".index(letter)] == text and 0.5 <= float(sure) <= 1
    with pytest.raises(Usage, match="needs the choices of each text"):
        load_answering(tmp_path / "run").predict(["where is it"])


def test_tables_texts_and_columns_by_another_name(model, tmp_path, capsys):
    data, _ = write_files(tmp_path, "multi_label")
    tune_rows(settings(data, model("bert"), tmp_path / "run", steps=60))
    (tmp_path / "new.csv").write_text(f"message,note\n{SENTENCES[0]},a\n,b\n{SENTENCES[3]},c\n")
    assert run(["predict", str(tmp_path / "run"), str(tmp_path / "new.csv"), "--out", str(tmp_path / "out.csv")]) == 3
    assert "has no column 'text'" in capsys.readouterr().err
    named = ["--text", "message", "--out", str(tmp_path / "out.csv")]
    assert run(["predict", str(tmp_path / "run"), str(tmp_path / "new.csv"), *named]) == 0
    table = (tmp_path / "out.csv").read_text().splitlines()
    assert table[0] == "message,note,predicted,confidence" and table[2] == ",b,,"
    assert all(line.split(",", 2)[2].startswith(("[]", '"[""')) for line in (table[1], table[3])), table
    capsys.readouterr()
    assert run(["predict", str(tmp_path / "run"), SENTENCES[0], SENTENCES[3], "--json"]) == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["answer"] for one in said] == [
        list(one.answer) for one in TunedRun(tmp_path / "run").predict([SENTENCES[0], SENTENCES[3]])
    ]


@pytest.mark.parametrize(
    ("kind", "named", "said"),
    [
        ("answers", "question", "--text names question, where the run reads 2: question, context"),
        ("tag", "tokens,ner_tags", "--text names tokens, ner_tags, where the run reads 1: tokens"),
    ],
)
def test_as_many_columns_are_named_as_the_run_reads(kind, named, said, model, tmp_path):
    data, test = write_files(tmp_path, kind)
    tune_rows(settings(data, model("bert"), tmp_path / "run", steps=2))
    with pytest.raises(BadData, match=said):
        predict_file(load_answering(tmp_path / "run"), Path(test), tmp_path / "out.jsonl", text=named.split(","))


def test_words_past_the_context_are_outside_of_everything(model, tmp_path):
    data, _ = write_files(tmp_path, "tag")
    tune_rows(settings(data, model("bert"), tmp_path / "run", steps=2, length=16))
    (one,) = TunedRun(tmp_path / "run").predict([" ".join(["refund"] * 60)])
    assert len(one.answer) == 60 and set(one.answer[20:]) == {"O"}


@pytest.mark.parametrize(("kind", "named"), [("tag", "ner_tags"), ("parts", "pos_tags")])
def test_what_is_told_of_tags_is_what_the_answers_to_all_words_are_worth(kind, named, model, tmp_path):
    """Rows longer than the context, and a word that has no token: neither makes a score better than the answers are."""
    data, test = write_files(tmp_path, kind)
    rows = lines(tmp_path / "test.jsonl")
    for row in rows[::2]:
        row["tokens"], row[named] = row["tokens"] * 4, row[named] * 4
    rows[1]["tokens"][1] = "\u200b"
    (tmp_path / "test.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    done = tune_rows(settings(data, model("bert"), tmp_path / "run", test=test, length=16, steps=60))
    source = without_answers(tmp_path / "test.jsonl", tmp_path / "new.jsonl")
    predict_file(load_answering(tmp_path / "run"), source, tmp_path / "out.jsonl")
    right, given = [row[named] for row in rows], [row["predicted"] for row in lines(tmp_path / "out.jsonl")]
    told = {score.metric: score for score in done.test.scores}
    if kind == "tag":
        assert told["entity_recall"].value == score_entities(right, given)["entity_recall"].value < 0.8
    else:
        pairs = [(one, other) for tags, others in zip(right, given, strict=True) for one, other in zip(tags, others, strict=True)]
        assert (
            told["accuracy"].value == pytest.approx(np.mean([one == other for one, other in pairs]))
            and told["accuracy"].value < 0.8
        )
        assert told["accuracy"].plain == np.mean([one == "X" for one, _ in pairs])
    answers = lines(tmp_path / "run" / "test_answers.jsonl")
    assert [row["right"] for row in answers] == right and [row["tuned"] for row in answers] == given
    assert told.popitem()[1].n == done.test.rows == len(rows)


def test_what_answers_no_rows_is_refused_in_a_line(model, tmp_path):
    (tmp_path / "plain.jsonl").write_text("\n".join(json.dumps({"text": f"{text} {n}"}) for n, text in enumerate(SENTENCES * 2)))
    tune_rows(settings(str(tmp_path / "plain.jsonl"), model("bert"), tmp_path / "masked", steps=2))
    with pytest.raises(Usage, match="masked continues texts or fills gaps in them"):
        load_answering(tmp_path / "masked")
    data, _ = write_files(tmp_path, "answers")
    tune_rows(settings(data, model("bert"), tmp_path / "run", steps=2, method="lora"))
    found = load_answering(tmp_path / "run")
    with pytest.raises(BadData, match="A question is answered from a passage"):
        found.predict(["what is it"])
    with pytest.raises(Usage, match="predict takes a list of texts"):
        found.predict("what is it")
    with pytest.raises(BadModel, match="or a finished run of `hone tune`"):
        load_answering(tmp_path / "nowhere")
    record = json.loads((tmp_path / "run" / "hone.json").read_text())
    (tmp_path / "run" / "hone.json").write_text(json.dumps({**record, "base_sha256": "0" * 64}))
    with pytest.raises(BadModel, match="with other weights than those found"):
        predict_file(load_answering(tmp_path / "run"), tmp_path / "rows.jsonl", tmp_path / "out.jsonl")
