"""`hone index` and `hone ask` from end to end, stdout clean, with the tiny encoder."""

import io
import json
import subprocess
import sys

import pytest

from hone.cli.main import run
from hone.retrieve import Answer
from hone.retrieve.evaluate import Indexed
from tiny import SENTENCES
from tiny_language import save_language_model
from tiny_server import chat_answer, serve


@pytest.fixture
def desk(tmp_path):
    """A folder of twelve short texts and a file that is none."""
    folder = tmp_path / "desk"
    folder.mkdir()
    for at, text in enumerate(SENTENCES):
        (folder / f"{at}.txt").write_text(text)
    (folder / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    return folder


def build(desk, encoder_path, *more):
    return ["index", str(desk), "--out", str(desk.parent / "index"), "--encoder", str(encoder_path()), "--tokens", "30", *more]


def test_documents_are_indexed_measured_and_asked(desk, encoder_path, tmp_path, capfd):
    questions = tmp_path / "questions.csv"
    questions.write_text("question,document\ncourier,7.txt\nrefund,2.txt\n")
    assert run(build(desk, encoder_path, "--questions", str(questions))) == 0
    out, err = capfd.readouterr()
    assert out.startswith("12 documents (12 added), 12 passages (12 embedded, 0 reused), ")
    assert out.splitlines()[0].endswith("1 set aside.")
    assert "Recall@5" in out
    assert "Warning: photo.jpg: hone does not read files that end in .jpg" in err
    assert (tmp_path / "index" / "evaluation.json").exists()

    assert run(build(desk, encoder_path, "--quiet", "--json")) == 0
    again = Indexed.model_validate_json(capfd.readouterr().out)
    assert (again.index.changes.unchanged, again.index.changes.embedded, again.evaluation) == (12, 0, None)

    assert run(["ask", str(tmp_path / "index"), "who lost my letter", "--k", "2", "--mode", "text"]) == 0
    assert capfd.readouterr().out.startswith("[1] 7.txt, characters 0 to 27 (score ")


def test_json_is_the_only_thing_on_stdout(desk, encoder_path, tmp_path):
    """A process of its own, since the database's threads may write past Python."""
    assert run(build(desk, encoder_path, "--quiet")) == 0
    command = ["ask", str(tmp_path / "index"), "where is my package", "--json", "--k", "3"]
    code = f"from hone.cli.main import run\nraise SystemExit(run({command!r}))"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    answer = Answer.model_validate_json(done.stdout)
    assert answer.answer is None
    assert [each.number for each in answer.passages] == [1, 2, 3]
    assert all(each.text == SENTENCES[int(each.document.split(".")[0])][each.start : each.end] for each in answer.passages)


def test_a_model_answers_from_the_passages_that_fit(desk, encoder_path, tmp_path, capsys):
    assert run(build(desk, encoder_path, "--quiet")) == 0
    model = save_language_model(tmp_path / "model", "t5")
    settings = json.loads((model / "tokenizer_config.json").read_text())
    (model / "tokenizer_config.json").write_text(json.dumps({**settings, "model_max_length": 90}))
    capsys.readouterr()
    ask = ["ask", str(tmp_path / "index"), "where is my package", "--k", "8", "--model", str(model), "--max-tokens", "5"]
    assert run([*ask, "--json"]) == 0
    out, err = capsys.readouterr()
    answer = Answer.model_validate_json(out)
    assert answer.answer is not None
    shown = [each.is_shown for each in answer.passages]
    assert shown == sorted(shown, reverse=True)
    assert 0 < sum(shown) < 8
    assert f"passages {sum(shown) + 1} to 8 were left out: the prompt would not fit the model's 90 tokens." in err


def test_a_model_behind_a_server_answers_from_the_passages_that_fit(desk, encoder_path, tmp_path, capsys):
    """The server says how much its model reads; tokens are estimated, as it names no tokenizer."""
    assert run(build(desk, encoder_path, "--quiet")) == 0
    reads = 10_000

    def reply(path, body):
        return (200, {"data": [{"id": "wise", "max_model_len": reads}]}) if body is None else (200, chat_answer(" At the door. "))

    with serve(reply) as server:
        ask = ["ask", str(tmp_path / "index"), "where is my package", "--k", "4", "--model", "openai:wise", "--json"]
        capsys.readouterr()
        assert run([*ask, "--base-url", server.url, "--max-tokens", "7", "--price", "1000,2000"]) == 0
        out, err = capsys.readouterr()
        whole = Answer.model_validate_json(out)
        assert "1 request: 3 tokens read and 2 written, 0.0070 US dollars." in err
        assert (whole.answer, [each.is_shown for each in whole.passages]) == ("At the door.", [True] * 4)
        (body,) = [body for _, body in server.asked if body is not None]
        assert body["max_tokens"] == 7 and body["temperature"] == 0
        read = body["messages"][0]["content"]
        assert all(each.text.strip() in read for each in whole.passages) and "where is my package" in read
        reads = len(read) // 4 + 64 + 7 - 1
        assert run([*ask, "--base-url", server.url, "--max-tokens", "7"]) == 0
        out, err = capsys.readouterr()
        assert [each.is_shown for each in Answer.model_validate_json(out).passages] == [True] * 3 + [False]
        assert f"passage 4 was left out: the prompt would not fit the model's {reads} tokens." in err
        assert run([*ask, "--base-url", server.url, "--dial", "0.5"]) == 3
        assert run(ask) == 3
        assert "--base-url" in capsys.readouterr().err


def test_a_server_that_thinks_aloud_answers_with_what_stands_behind_its_thoughts(desk, encoder_path, tmp_path, capsys):
    assert run(build(desk, encoder_path, "--quiet")) == 0
    said = iter([chat_answer("<think>The door?</think>\n\nAt the door."), chat_answer("<think>The door?", finish="length")])
    with serve(lambda _path, body: (404, {}) if body is None else (200, next(said))) as server:
        ask = ["ask", str(tmp_path / "index"), "where is my package", "--model", "openai:wise", "--base-url", server.url]
        capsys.readouterr()
        assert run([*ask, "--json"]) == 0
        assert Answer.model_validate_json(capsys.readouterr().out).answer == "At the door."
        assert run(ask) == 0
    out, err = capsys.readouterr()
    assert out.startswith("(the model wrote nothing)")
    assert "1 of 1 answers are empty, for their 96 tokens were used up" in err and "--max-tokens" in err


def test_questions_come_from_standard_input_one_a_line(desk, encoder_path, tmp_path, capsys, monkeypatch):
    assert run(build(desk, encoder_path, "--quiet")) == 0
    ask, questions = ["ask", str(tmp_path / "index"), "--k", "2"], ["who lost my letter", "where is my package"]
    alone = []
    for question in questions:
        capsys.readouterr()
        assert run([*ask, question, "--json"]) == 0
        alone.append(Answer.model_validate_json(capsys.readouterr().out))
    for more in ([], ["-"]):
        monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(["", questions[0], "  ", questions[1]])))
        assert run([*ask, *more, "--json"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [Answer.model_validate_json(line) for line in lines] == alone
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(questions) + "\n"))
    assert run(ask) == 0
    out, err = capsys.readouterr()
    assert [line for line in out.splitlines() if line.startswith("> ")] == [f"> {question}" for question in questions]
    assert out.count("[1] ") == 2 and err.count("With --model NAME") == 1
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    assert run(ask) == 3
    assert "Standard input holds no question" in capsys.readouterr().err


def test_a_model_that_answers_several_questions_is_loaded_once(desk, encoder_path, tmp_path, capsys, monkeypatch):
    """A question that it cannot answer is told by its number, and does not end the others."""
    from hone.evaluate import benchmarks

    assert run(build(desk, encoder_path, "--quiet")) == 0
    model = save_language_model(tmp_path / "model", "t5")
    settings = json.loads((model / "tokenizer_config.json").read_text())
    (model / "tokenizer_config.json").write_text(json.dumps({**settings, "model_max_length": 120}))
    loaded, load = [], benchmarks.load_answering
    monkeypatch.setattr(benchmarks, "load_answering", lambda name: loaded.append(name) or load(name))
    questions = ["where is my package", "phone " * 200, "who lost my letter"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(questions)))
    capsys.readouterr()
    assert run(["ask", str(tmp_path / "index"), "--k", "1", "--model", str(model), "--max-tokens", "5", "--json"]) == 3
    out, err = capsys.readouterr()
    found = [Answer.model_validate_json(line) for line in out.splitlines()]
    assert [one.question for one in found] == [questions[0], questions[2]] and all(one.answer is not None for one in found)
    assert "Warning: question 2, 'phone phone" in err and "1 of 3 questions were not answered" in err
    assert loaded == [str(model)]


def test_at_a_terminal_questions_are_asked_for_until_the_input_ends(desk, encoder_path, tmp_path, capsys, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    assert run(build(desk, encoder_path, "--quiet")) == 0
    monkeypatch.setattr(sys, "stdin", Terminal("who lost my letter\n"))
    capsys.readouterr()
    assert run(["ask", str(tmp_path / "index"), "--k", "1"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("[1] ") and err.startswith("Write a question and press Enter; Ctrl-D ends.\n? ")
    monkeypatch.setattr(sys, "stdin", Terminal(""))
    assert run(["ask", str(tmp_path / "index")]) == 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--tokens", "300"], "more than the embedding model reads: 64 tokens"),
        (["--overlap", "41"], "--overlap 41: Input should be less than or equal to 40"),
        (["--language", "Klingon"], "language 'Klingon' is not known"),
        (["--text", "body"], "name columns of a table"),
        (["--questions", "nowhere.csv"], "nowhere.csv does not exist"),
    ],
)
def test_what_cannot_be_is_one_clear_line(desk, encoder_path, capsys, more, said):
    assert run(build(desk, encoder_path, "--quiet", *more)) == 3
    _out, err = capsys.readouterr()
    assert said in err
    assert err.splitlines()[-1].startswith("Error: ")


def test_asking_where_no_index_is_says_how_to_make_one(tmp_path, capsys):
    assert run(["ask", str(tmp_path), "who?"]) == 3
    assert "holds no index. Build one with: hone index" in capsys.readouterr().err
