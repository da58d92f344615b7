"""A model behind a server: the same texts and likelihoods as here, patience where it stumbles, and nothing paid for twice."""

import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from hone.core.errors import Failed, Usage
from hone.measure import Tokens
from hone.model import Price, RemoteBackend, RemoteSettings, Sampling, load_backend
from hone.model.answer_cache import FILE
from tiny import SENTENCES
from tiny_server import Model, chat_answer, serve

PROMPTS = list(SENTENCES[:6])
ANSWERS = [" refund the money", " late", " it is late", " the money", " money", " late"]
SHORT = Sampling(max_new_tokens=8)
SECRET = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def remote(url, **settings):
    """A backend that loses no time waiting."""
    return RemoteBackend("tiny", url, settings=RemoteSettings(**({"wait_seconds": 0.01, "concurrency": 2} | settings)))


def repeat(_path, body):
    """A server that says every prompt again."""
    return 200, chat_answer(body["messages"][0]["content"].upper())


def texts(found):
    return [answer.text for (answer,) in found]


def test_the_test_server_can_be_reached_and_the_world_cannot():
    with serve(repeat) as server:
        assert texts(remote(server.url).generate(["late"], SHORT)) == ["LATE"]
    with pytest.raises(Failed, match="cannot be reached"):
        remote("http://example.com/v1").generate(["late"], SHORT)


@pytest.mark.parametrize("api", ["chat", "completions"])
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_a_server_writes_what_the_same_model_writes_here(kind, api, folder):
    here = load_backend(str(folder(kind)), precision="fp32", device=torch.device("cpu"))
    with serve(Model(folder(kind))) as server:
        there = remote(server.url, api=api)
        found, wanted = there.generate(PROMPTS, SHORT), here.generate(PROMPTS, SHORT)
        assert texts(found) == texts(wanted)
        assert [one.finish for (one,) in found] == [one.finish for (one,) in wanted]
        assert there.context_length == 64


@pytest.mark.parametrize("sends_ids", [False, True])
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_a_server_finds_texts_as_likely_as_the_same_model_here(kind, sends_ids, folder):
    here = load_backend(str(folder(kind)), precision="fp32", device=torch.device("cpu"))
    wanted = here.score(PROMPTS, ANSWERS)
    with serve(Model(folder(kind))) as server:
        there = remote(server.url, api="completions", tokenizer=str(folder(kind)) if sends_ids else None)
        assert there.can_score
        found = there.score(PROMPTS, ANSWERS)
        assert all(isinstance(prompt, list) == sends_ids for prompt in server.prompts())
    for one, other in zip(found, wanted, strict=True):
        assert one.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-4)
        assert (one.is_greedy, one.tokens) == (other.is_greedy, other.tokens)


def test_a_prompt_too_long_is_cut_where_the_tokenizer_is_known(folder):
    here = load_backend(str(folder("llama")), precision="fp32", device=torch.device("cpu"))
    long = " ".join(["money", "late", "refund"] * 40)
    with serve(Model(folder("llama"))) as server:
        there = remote(server.url, api="completions", tokenizer=str(folder("llama")))
        assert texts(there.generate([long], SHORT)) == texts(here.generate([long], SHORT))
        assert there.score([long], ["late"])[0].tokens == 1
        assert there.count_tokens([long]) == here.count_tokens([long])
        assert not there.is_estimate


def test_order_is_kept_though_answers_overtake_each_other():
    last = threading.Event()

    def reply(path, body):
        if body["messages"][0]["content"] == "text 0":
            assert last.wait(20)
        if body["messages"][0]["content"] == "text 19":
            last.set()
        return repeat(path, body)

    asked = [f"text {index}" for index in range(20)]
    with serve(reply) as server:
        found = remote(server.url, concurrency=4).generate(asked, SHORT)
        arrived = server.prompts()
    assert texts(found) == [text.upper() for text in asked]
    assert sorted(arrived) == sorted(asked)


def test_the_same_question_is_asked_once():
    with serve(repeat) as server:
        there = remote(server.url)
        assert texts(there.generate(["a", "b", "a"], SHORT)) == ["A", "B", "A"]
        there.generate(["b"], SHORT)
        there.generate(["b"], Sampling(max_new_tokens=9))
        assert sorted(server.prompts()) == ["a", "b", "b"]
        assert there.spent().requests == 3


def test_no_prompts_are_no_requests():
    with serve(repeat) as server:
        assert remote(server.url).generate([], SHORT) == []
        assert server.asked == []


@pytest.mark.parametrize("stumble", [(429, {"Retry-After": "0"}), (429, {}), (503, {"Retry-After": "0.01"}), (500, {})])
def test_a_busy_server_is_asked_again(stumble, capsys):
    status, headers = stumble
    answers = iter([status, status])

    def reply(path, body):
        if next(answers, None):
            return status, {"error": {"message": "slow down"}}, headers
        return repeat(path, body)

    with serve(reply) as server:
        assert texts(remote(server.url, concurrency=1).generate(["late"], SHORT)) == ["LATE"]
        assert len(server.asked) == 3
    told = capsys.readouterr().err
    assert f"answers {status} (slow down); asked again in" in told
    assert "attempt 2 of 6" in told


def test_a_server_that_asks_for_a_long_wait_is_not_waited_for():
    with (
        serve(lambda *_: (429, {"error": {"message": "daily limit"}}, {"Retry-After": "86400"})) as server,
        pytest.raises(Failed, match=r"daily limit.*It asks for a wait of 86,400 s"),
    ):
        remote(server.url).generate(["late"], SHORT)
    assert len(server.asked) == 1


def test_spent_credit_is_not_waited_for():
    error = {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}
    with serve(lambda *_: (429, error)) as server, pytest.raises(Failed, match="no credit left"):
        remote(server.url).generate(["late"], SHORT)
    assert len(server.asked) == 1


def test_a_server_that_breaks_for_ever_ends_in_one_error_and_what_is_finished_is_kept(tmp_path):
    def reply(path, body):
        return (500, b"<html>out of memory</html>") if body["messages"][0]["content"] == "d" else repeat(path, body)

    with serve(reply) as server:
        there = remote(server.url, concurrency=1, attempts=3, cache=tmp_path)
        with pytest.raises(Failed, match=r"answers 500 \(<html>out of memory</html>\).*asked 3 times.*3 of 6 answers") as told:
            there.generate(list("abcdef"), SHORT)
        assert str(tmp_path / FILE) in str(told.value)
        assert server.prompts() == [*"abc", *"ddd"]
        assert there.spent().requests == 3
    assert len((tmp_path / FILE).read_text(encoding="utf-8").splitlines()) == 3


KILLED = """
import sys
from pathlib import Path
from hone.model import RemoteBackend, RemoteSettings, Sampling
settings = RemoteSettings(concurrency=1, cache=Path(sys.argv[2]))
RemoteBackend("tiny", sys.argv[1], settings=settings).generate(list("abcdef"), Sampling(max_new_tokens=8))
"""


def test_a_killed_run_goes_on_without_asking_again(tmp_path):
    reached, go_on = threading.Event(), threading.Event()

    def reply(path, body):
        if body["messages"][0]["content"] == "d" and not go_on.is_set():
            reached.set()
            go_on.wait(60)
        return repeat(path, body)

    with serve(reply) as server:
        source = str(Path(__file__).parents[2] / "src")
        code = f"import sys; sys.path.insert(0, {source!r})\n{KILLED}"
        run = subprocess.Popen([sys.executable, "-c", code, server.url, str(tmp_path)])
        try:
            assert reached.wait(120)
        finally:
            run.kill()
            run.wait()
        go_on.set()
        with (tmp_path / FILE).open("ab") as file:
            file.write(b'{"key": "half a li')
        server.asked.clear()
        there = remote(server.url, concurrency=1, cache=tmp_path, price=Price(read=10, written=100))
        assert texts(there.generate(list("abcdef"), SHORT)) == list("ABCDEF")
        assert server.prompts() == list("def")
        spent = there.spent()
        assert (spent.requests, spent.remembered, spent.tokens_read, spent.tokens_written) == (6, 3, 18, 12)
        assert spent.usd == pytest.approx((18 * 10 + 12 * 100) / 1e6)
        again = remote(server.url, cache=tmp_path)
        assert texts(again.generate(list("abcdef"), SHORT)) == list("ABCDEF")
        assert len(server.asked) == 3


def test_each_answer_is_paid_by_the_first_who_asks_and_its_time_is_known_to_the_others(tmp_path):
    """Across runs: what was asked for nobody is paid by the first who uses it, and nobody pays for what another one had."""

    def reply(_path, body):
        time.sleep(0.01)
        return 200, chat_answer(body["messages"][0]["content"].upper())

    with serve(reply) as server:
        first = remote(server.url, concurrency=2, cache=tmp_path, price=Price(read=1, written=2))
        first.generate(["a", "b"], SHORT)
        first.payer = "one"
        first.generate(["b", "c"], SHORT)
        assert 0.005 <= first.spent().spared_seconds < 5
        again = remote(server.url, concurrency=2, cache=tmp_path, price=Price(read=1, written=2))
        again.payer = "two"
        again.generate(["a", "b", "c", "d"], SHORT)
        assert again.spent().spared_seconds >= 0.015
        one = 7 / 1e6
        two = Tokens(read=2 * 3, written=2 * 2)
        assert [again.paid(name) for name in ("one", "two", "three")] == [two, two, Tokens()]
        assert again.spent().usd == pytest.approx(4 * one) and len(server.asked) == 4
        assert remote(server.url, cache=tmp_path).paid("one") == two, "tokens are counted, whatever they cost"


def test_what_is_timed_is_asked_each_time_and_paid_for(tmp_path):
    """Else the first of the rows that are timed would take no time, as it is the one that warmed up."""
    with serve(repeat) as server:
        there = remote(server.url, cache=tmp_path)
        there.payer = "one"
        there.generate(["a"], SHORT)
        with there.afresh():
            assert [texts(there.generate(["a", "b", "a"], SHORT)) for _ in range(3)] == [["A", "B", "A"]] * 3
        assert server.prompts().count("a") == 4 and server.prompts().count("b") == 3
        assert there.paid("one") == Tokens(read=7 * 3, written=7 * 2) == remote(server.url, cache=tmp_path).paid("one")
        there.generate(["a"], SHORT)
        assert len(server.prompts()) == 7


def test_another_model_address_or_setting_is_another_question(tmp_path):
    def reply(_path, body):
        return 200, chat_answer(f"{body['model']} {body['temperature']} {body.get('seed')}")

    def ask(url, model, sampling):
        settings = RemoteSettings(cache=tmp_path)
        return texts(RemoteBackend(model, url, settings=settings).generate(["late"], sampling))[0]

    with serve(reply) as server, serve(reply) as other:
        assert ask(server.url, "one", Sampling(temperature=0)) == "one 0.0 None"
        assert ask(server.url, "two", Sampling(temperature=0)) == "two 0.0 None"
        assert ask(server.url, "two", Sampling(temperature=0.5)) == "two 0.5 0"
        assert ask(server.url, "two", Sampling(temperature=0.5, seed=1)) == "two 0.5 1"
        assert ask(other.url, "one", Sampling(temperature=0)) == "one 0.0 None"
        assert ask(server.url, "one", Sampling(temperature=0)) == "one 0.0 None"
        assert (len(server.asked), len(other.asked)) == (4, 1)


@pytest.mark.parametrize("key", ["", SECRET])
def test_a_refused_key_is_told_in_the_servers_words_and_the_key_is_not(key, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    answers = iter([(200, chat_answer("fine")), (503, {"error": {"message": f"{SECRET} must wait"}})])
    error = {"error": {"message": f"Incorrect API key provided: {SECRET}", "code": "invalid_api_key"}}
    with serve(lambda *_: next(answers, (401, error))) as server:
        there = remote(server.url, concurrency=1, cache=tmp_path)
        there.generate(["late"], SHORT)
        with pytest.raises(Usage, match=r"401: Incorrect API key provided.*Set OPENAI_API_KEY to a key") as told:
            there.generate(["money"], SHORT)
        assert server.keys[0] == (f"Bearer {SECRET}" if key else None)
    assert ("does not open it" if key else "is not set") in str(told.value)
    if key:
        seen = [str(told.value), repr(there), repr(there._endpoint), repr(there.settings), there.name, *capsys.readouterr()]
        seen += [file.read_text(encoding="utf-8") for file in tmp_path.iterdir()]
        assert not [text for text in seen if SECRET in text or "very-secret" in text]
        chain = told.value.__cause__
        assert chain is None


def test_a_key_that_no_header_may_hold_is_refused_without_being_shown(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-one\nsk-two")
    with pytest.raises(Usage, match="holds blanks") as told:
        remote("http://127.0.0.1:9/v1")
    assert "sk-one" not in str(told.value)


def test_a_key_over_an_open_line_is_warned_of(monkeypatch, capsys):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    remote("http://example.com/v1")
    assert "not encrypted" in capsys.readouterr().err
    remote("https://example.com/v1")
    remote("http://127.0.0.1:9/v1")
    assert capsys.readouterr().err == ""


def test_a_redirection_is_told_and_the_key_does_not_follow_it(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with serve(repeat) as elsewhere, serve(lambda *_: (301, {}, {"Location": f"{elsewhere.url}/x"})) as server:
        with pytest.raises(Usage, match="sends elsewhere"):
            remote(server.url).generate(["late"], SHORT)
        assert elsewhere.asked == []


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (404, r"404: no model tiny.*check --model and --base-url"),
        (405, r"405: no model tiny.*usually ends in /v1.*check --model and --base-url"),
        (400, r"Prompt 2 of 3.*400: no model tiny"),
    ],
)
def test_a_refusal_is_told_once_in_the_servers_own_words(status, said):
    def reply(path, body):
        return (
            (status, {"object": "error", "message": "no model tiny"})
            if "b" in json.dumps(body["messages"])
            else repeat(path, body)
        )

    with serve(reply) as server, pytest.raises(Usage, match=said):
        remote(server.url, concurrency=1).generate(["a", "b", "c"], SHORT)
    assert server.prompts().count("b") == 1


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"{'choices': oh", "gives no JSON"),
        (b"[1]", "gives no JSON object"),
        (b'{"choices": []}', "lacks something"),
        (b'{"choices": [{"message": {}}]}', "lacks something"),
        (b'{"choices": [null]}', "lacks something"),
        (b'{"choices": [{"text": 5}]}', "lacks something"),
        (b'{"error": {"message": "upstream gone"}}', "answers with an error .upstream gone."),
    ],
)
def test_an_answer_that_makes_no_sense_is_asked_for_again_and_then_told(raw, said):
    with serve(lambda *_: (200, raw)) as server, pytest.raises(Failed, match=said):
        remote(server.url, attempts=2).generate(["late"], SHORT)
    assert len(server.asked) == 2


def test_a_web_page_in_place_of_an_answer_is_told_at_once():
    with (
        serve(lambda *_: (200, b"\n<!doctype html><title>Chat</title>", {"Content-Type": "text/html"})) as server,
        pytest.raises(Failed, match=r"gives a web page.*usually ends in /v1\. Check --base-url\. It was asked once\."),
    ):
        remote(server.url).generate(["late"], SHORT)
    assert len(server.asked) == 1


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions/", "/models"])
def test_an_address_with_a_requests_own_path_is_refused(path):
    with pytest.raises(Usage, match="ends in the path of a request, which hone adds"):
        remote(f"http://127.0.0.1:9{path}")


@pytest.mark.parametrize("end", ["", "/", "//"])
def test_a_slash_at_the_end_of_an_address_means_nothing(end, tmp_path):
    with serve(repeat) as server:
        assert texts(remote(server.url, cache=tmp_path).generate(["late"], SHORT)) == ["LATE"]
        assert texts(remote(server.url + end, cache=tmp_path).generate(["late"], SHORT)) == ["LATE"]
        assert [path for path, _ in server.asked] == ["/v1/chat/completions"]


def test_an_answer_that_does_not_come_is_asked_for_again():
    go_on, first = threading.Event(), iter([True])

    def reply(path, body):
        if next(first, False):
            go_on.wait(30)
        return repeat(path, body)

    with serve(reply) as server:
        try:
            assert texts(remote(server.url, timeout_seconds=1).generate(["late"], SHORT)) == ["LATE"]
        finally:
            go_on.set()
    assert len(server.asked) >= 2


def test_an_answer_of_many_tokens_is_waited_for_longer():
    """Else long thoughts would be given up, and paid for, again and again."""

    def reply(path, body):
        time.sleep(0.6)
        return repeat(path, body)

    with serve(reply) as server:
        with pytest.raises(Failed, match="gave no answer in"):
            remote(server.url, timeout_seconds=0.2, attempts=1).generate(["late"], Sampling(max_new_tokens=1))
        assert texts(remote(server.url, timeout_seconds=0.2, attempts=1).generate(["late"], Sampling(max_new_tokens=100))) == [
            "LATE"
        ]


def test_a_server_that_is_not_there_is_told_at_once():
    with serve(repeat) as server:
        address = server.url
    with pytest.raises(Failed, match=r"cannot be reached.*asked once"):
        remote(address, concurrency=1).generate(["late"], SHORT)


def echo_only_the_written(path, body):
    """What some servers do: log-likelihoods, but none of the prompt."""
    told = {"tokens": ["x"], "token_logprobs": [-1.0], "top_logprobs": [{"x": -1.0}]}
    return 200, {"choices": [{"text": "x", "logprobs": told}]}


def echo_other_texts(path, body):
    told = {
        "tokens": ["▁one", "▁two", "x"],
        "token_logprobs": [None, -1.0, -1.0],
        "top_logprobs": [None, {"x": -1.0}, {"x": -1.0}],
    }
    return 200, {"choices": [{"text": "x", "logprobs": told}]}


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (lambda *_: (400, {"error": {"message": "Only no echo is supported"}}), "Only no echo is supported"),
        (lambda *_: (500, {"error": {"message": "echo is broken"}}), "echo is broken"),
        (lambda *_: (404, {"error": "no such path"}), "no such path"),
        (echo_only_the_written, "do not hold the prompt's tokens"),
        (lambda path, body: (200, {"choices": [{"text": "x", "logprobs": None}]}), "do not hold the prompt's tokens"),
        (echo_other_texts, "Name the folder of the model's tokenizer"),
    ],
)
def test_a_server_that_tells_no_likelihoods_is_asked_once_and_scoring_refused(reply, said):
    with serve(reply) as server:
        there = remote(server.url, api="completions")
        assert not there.can_score
        assert not there.can_score
        with pytest.raises(Usage, match="cannot score given texts") as told:
            there.score(PROMPTS, ANSWERS)
        assert len(server.asked) == 1
    assert said in str(told.value)
    assert "Let it write its answers instead" in str(told.value)


def test_a_busy_server_is_not_taken_for_one_that_cannot_score(folder):
    answers, model = iter([503]), Model(folder("llama"))

    def reply(path, body):
        return (503, {}) if next(answers, None) else model(path, body)

    with serve(reply) as server:
        assert remote(server.url, api="completions").can_score
        assert len(server.asked) == 2


def test_the_chat_api_scores_nothing_and_says_so():
    with serve(repeat) as server:
        there = remote(server.url)
        assert not there.can_score
        with pytest.raises(Usage, match="the chat API tells no log-likelihoods"):
            there.score(["late"], ["money"])
        assert server.asked == []


def test_an_empty_continuation_is_refused_before_anything_is_asked(folder):
    with serve(Model(folder("llama"))) as server:
        there = remote(server.url, api="completions")
        assert there.can_score
        with pytest.raises(Usage, match="Request 2 of 2 has an empty continuation"):
            there.score(["late", "late"], ["money", ""])
        assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("sampling", "said"),
    [
        (Sampling(top_k=5), "top_k=5"),
        (Sampling(min_p=0.1), "min_p=0.1"),
        (Sampling(repetition_penalty=1.2), "repetition_penalty=1.2"),
        (Sampling(stop=tuple("abcde")), "5 stop texts"),
        (Sampling(beams=2), "no beam search"),
    ],
)
def test_what_the_protocol_cannot_say_is_refused_before_anything_is_asked(sampling, said):
    with serve(repeat) as server:
        with pytest.raises(Usage, match=said):
            remote(server.url).generate(["late"], sampling)
        assert server.asked == []


def test_a_server_that_takes_more_is_told_more_neutral_values_too():
    """Else a vLLM server would take those of the model's own generation settings."""
    with serve(repeat) as server:
        there = remote(server.url, extras=True)
        there.generate(["late"], Sampling(top_k=5, min_p=0.1, repetition_penalty=1.2, temperature=1, stop=tuple("abcde")))
        there.generate(["money"], SHORT)
        (_, told), (_, plain) = server.asked
        with pytest.raises(Usage, match="no beam search"):
            there.generate(["late"], Sampling(beams=2))
    assert (told["top_k"], told["min_p"], told["repetition_penalty"], told["stop"]) == (5, 0.1, 1.2, list("abcde"))
    assert (plain["top_k"], plain["min_p"], plain["repetition_penalty"], plain["top_p"]) == (-1, 0, 1, 1)


def test_settings_become_the_protocols_own():
    with serve(lambda _path, body: (200, {"choices": [chat_answer(str(at))["choices"][0] for at in range(body["n"])]})) as server:
        found = remote(server.url).generate(
            ["late"], Sampling(max_new_tokens=9, temperature=0.5, top_p=0.9, stop=("\n",), samples=3, seed=4)
        )
        ((path, body),) = server.asked
    assert [answer.text for answer in found[0]] == ["0", "1", "2"]
    assert path == "/v1/chat/completions"
    assert body == {
        "model": "tiny",
        "messages": [{"role": "user", "content": "late"}],
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["\n"],
        "n": 3,
        "seed": 4,
    }


def test_too_few_answers_are_told():
    with serve(repeat) as server, pytest.raises(Usage, match="1 of 3 answers to a prompt"):
        remote(server.url).generate(["late"], Sampling(samples=3))


def test_the_newer_name_of_the_limit_is_used_where_the_server_asks_for_it():
    def reply(path, body):
        if "max_tokens" in body:
            return 400, {"error": {"message": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."}}
        return repeat(path, body)

    with serve(reply) as server:
        there = remote(server.url, concurrency=1)
        assert texts(there.generate(["a", "b"], SHORT)) == ["A", "B"]
        assert [body.get("max_completion_tokens") for _, body in server.asked] == [None, 8, 8]


def test_a_stop_text_left_in_is_cut_and_ends_are_told():
    said = {"a": ("one\ntwo", "stop"), "b": ("one two", "length"), "c": ("one", "stop")}
    with serve(lambda _path, body: (200, chat_answer(*said[body["messages"][0]["content"]][:1]))) as server:
        found = remote(server.url).generate(["a", "c"], Sampling(stop=("\n",)))
    assert [(one.text, one.finish) for (one,) in found] == [("one", "stop"), ("one", "end")]
    with serve(lambda _path, body: (200, chat_answer("one two", finish="length"))) as server:
        assert remote(server.url).generate(["b"], SHORT)[0][0].finish == "length"


def test_withheld_answers_are_told(capsys):
    with serve(lambda *_: (200, chat_answer(None, finish="content_filter"))) as server:
        assert texts(remote(server.url).generate(["a", "b"], SHORT)) == ["", ""]
    assert "2 of 2 answers were refused, withheld" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "text", "text": "in the "}, {"type": "text", "text": "shed"}], "in the shed"),
        (
            [{"type": "thinking", "thinking": [{"type": "text", "text": "where?"}]}, {"type": "text", "text": "in the shed"}],
            "in the shed",
        ),
        ([], ""),
    ],
)
def test_an_answer_in_parts_is_the_texts_among_them(content, text):
    with serve(lambda *_: (200, chat_answer(content))) as server:
        assert texts(remote(server.url).generate(["a"], SHORT)) == [text]
    assert len(server.asked) == 1


def test_answers_used_up_by_thoughts_are_empty_and_told(capsys):
    def reply(_path, body):
        found = chat_answer(None, finish="length")
        if body["messages"][0]["content"] == "a":
            del found["choices"][0]["message"]["content"]
        return 200, found

    with serve(reply) as server:
        found = remote(server.url).generate(["a", "b"], SHORT)
    assert [(one.text, one.finish) for (one,) in found] == [("", "length")] * 2
    assert len(server.asked) == 2
    assert "2 of 2 answers are empty, for their 8 tokens were used up" in capsys.readouterr().err


def test_a_refusal_of_the_models_own_is_told(capsys):
    refused = chat_answer(None)
    refused["choices"][0]["message"]["refusal"] = "I cannot help with that."
    with serve(lambda *_: (200, refused)) as server:
        assert texts(remote(server.url).generate(["a"], SHORT)) == [""]
    assert "1 of 1 answers were refused" in capsys.readouterr().err


def test_where_nothing_is_finished_nothing_is_said_to_be_kept(tmp_path):
    with serve(lambda *_: (500, b"broken")) as server:
        for cache in (None, tmp_path):
            with pytest.raises(Failed, match=r"answers 500 \(broken\)\. It was asked once\.$"):
                remote(server.url, attempts=1, cache=cache).generate(["a"], SHORT)


def test_an_answer_that_breaks_off_is_asked_for_again_and_called_so():
    first = iter([True])

    def reply(path, body):
        status, found = repeat(path, body)
        return (status, b"{", {"Content-Length": 5000}) if next(first, False) else (status, found)

    with serve(reply) as server:
        assert texts(remote(server.url, attempts=2).generate(["late"], SHORT)) == ["LATE"]
    with (
        serve(lambda *_: (200, b"{", {"Content-Length": 5000})) as server,
        pytest.raises(Failed, match=r"breaks off in the middle.*asked 2 times"),
    ):
        remote(server.url, attempts=2).generate(["late"], SHORT)


def test_tokens_that_the_server_does_not_count_are_estimated_and_said_to_be():
    with serve(lambda *_: (200, {"choices": chat_answer("abcdefgh")["choices"]})) as server:
        there = remote(server.url)
        there.generate(["a" * 10], SHORT)
        spent = there.spent()
    assert (spent.tokens_read, spent.tokens_written, spent.is_estimate, spent.usd) == (3, 2, True, None)
    assert there.count_tokens(["a" * 9, ""]) == [3, 0]
    assert there.is_estimate


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        {},
        {"prompt_tokens": None, "completion_tokens": "many"},
        {"prompt_tokens": 0, "completion_tokens": 0},
        {"prompt_tokens": -1, "completion_tokens": -1},
    ],
)
def test_tokens_that_cannot_be_are_estimated_and_the_answer_is_not_paid_for_again(usage):
    with serve(lambda *_: (200, chat_answer("abcdefgh") | {"usage": usage})) as server:
        there = remote(server.url)
        assert texts(there.generate(["a" * 10], SHORT)) == ["abcdefgh"]
        spent = there.spent()
        assert len(server.asked) == 1
    assert (spent.tokens_read, spent.tokens_written, spent.is_estimate) == (3, 2, True)


def test_an_empty_answer_of_no_tokens_is_counted_as_the_server_counts_it():
    with serve(lambda *_: (200, chat_answer("", written=0))) as server:
        there = remote(server.url)
        there.generate(["a"], SHORT)
        assert (there.spent().tokens_written, there.spent().is_estimate) == (0, False)


def test_a_length_that_nobody_says_is_assumed_and_told(capsys):
    with serve(lambda path, body: (200, {"data": [{"id": "other", "max_model_len": 5}]})) as server:
        assert remote(server.url).context_length == 8192
        assert remote(server.url, context_length=100).context_length == 100
    assert "8,192 are assumed" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "1", "1,2,3", "a,b", "-1,2", "nan,1"])
def test_a_price_that_is_none_is_refused(text):
    with pytest.raises(Usage, match=r"--price 0\.15,0\.60"):
        Price.parse(text)


def test_a_price_is_read_and_written():
    assert Price.parse("0.15, 0.6") == Price(read=0.15, written=0.6)


def test_a_torn_or_broken_line_costs_that_answer_alone(tmp_path, capsys):
    with serve(repeat) as server:
        remote(server.url, concurrency=1, cache=tmp_path).generate(list("abc"), SHORT)
        path = tmp_path / FILE
        lines = path.read_text(encoding="utf-8").splitlines()
        path.write_text("\n".join([lines[0], "no JSON", "[1]", lines[2][:20]]), encoding="utf-8")
        server.asked.clear()
        again = remote(server.url, concurrency=1, cache=tmp_path)
        assert "3 lines cannot be read" in capsys.readouterr().err
        assert texts(again.generate(list("abc"), SHORT)) == list("ABC")
        assert server.prompts() == list("bc")
        assert texts(remote(server.url, cache=tmp_path).generate(list("abc"), SHORT)) == list("ABC")
        assert len(server.asked) == 2


def test_the_documents_python_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    page = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert code is not None
    monkeypatch.chdir(tmp_path)
    with serve(repeat) as server:
        exec(compile(code[1].replace("http://localhost:8000/v1", server.url), "evaluation.md", "exec"), {})
    told = capsys.readouterr().out
    assert told.startswith("CAPITAL OF FRANCE?\nCAPITAL OF ITALY?\n")
    assert "requests=2" in told
    assert "usd=3." in told
    assert (tmp_path / "answers" / FILE).exists()
