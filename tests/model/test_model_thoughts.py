"""A model that thinks before it answers: what stands behind its thoughts is the answer, wherever the model runs."""

from collections import deque

import pytest
import torch

from hone.catalogue import locate_model
from hone.model import Generator, RemoteBackend, RemoteSettings, Renderer, Sampling, load_backend, load_text_model
from hone.model.thoughts import answer_in, closed, opens, stopped, without_thoughts
from tiny_language import save_language_model, tiny_tokenizer
from tiny_server import chat_answer, serve

SHORT = Sampling(max_new_tokens=8)
TEMPLATE = "{% for m in messages %}{{ m.content }} {% endfor %}{% if add_generation_prompt %}money: <think>\n{% endif %}"


@pytest.mark.parametrize(
    ("written", "is_open", "answer"),
    [
        ("it is late", False, "it is late"),
        ("<think>late?</think>\n\nit is late", False, "it is late"),
        ("late? hm\n</think>\n\nit is late", False, "it is late"),
        ("late? hm\n</think>\n\nit is late", True, "it is late"),
        ("<think>a</think>no <think>b</think>yes", False, "yes"),
        ("<think>\n\n</think>\n\nyes\n", False, "yes\n"),
        (" <think>late? hm", False, None),
        ("late? hm", True, None),
        ("<think>a</think> <think>b", False, None),
        ("the tag <think> begins a thought", False, "the tag <think> begins a thought"),
        ("[THINK]late?[/THINK]yes", False, "yes"),
        ("<|channel|>analysis<|message|>late?<|end|>assistant<|channel|>final<|message|>yes", False, "yes"),
        ("<|channel|>analysis<|message|>late?", False, None),
        ("<think>a</think>", False, ""),
    ],
)
def test_the_answer_is_what_stands_behind_the_thoughts(written, is_open, answer):
    assert answer_in(written, is_open=is_open) == answer


def test_a_stop_text_ends_an_answer_and_no_thought():
    assert stopped("<think>one\ntwo</think>\nthree\nfour", ["\n"]) == "<think>one\ntwo</think>\nthree"
    assert stopped("<think>one\ntwo", ["\n"]) is None and stopped("one\ntwo", ["\n"], is_open=True) is None
    assert stopped("one\ntwo", ["o", "\n"]) == "" and stopped("one", ["\n"]) is None


def test_a_right_answer_with_thoughts_is_what_stands_behind_them():
    assert [without_thoughts(text) for text in ("<think>1+1</think>\n2", "2", "<think>")] == ["2", "2", "<think>"]


def test_a_thought_that_a_prompt_begins_is_ended_where_an_answer_follows_at_once():
    assert opens("Assistant: <think>\n") and not opens("<think>\n\n</think>\n\n")
    assert closed("Assistant: <think>\n") == "Assistant: <think>\n\n</think>\n\n" and closed("Assistant:") == "Assistant:"


def remote(url, **settings):
    return RemoteBackend("tiny", url, settings=RemoteSettings(wait_seconds=0.01, **settings))


def test_a_servers_thoughts_are_no_part_of_its_answers_and_an_unfinished_one_is_told_once(capsys):
    said = {
        "whole": ("<think>is it late?</think>\n\nlate", "stop"),
        "half": ("is it late?\n</think>\n\nlate", "stop"),
        "cut": ("<think>is it", "length"),
        "half cut": ("is it", "length"),
        "plain": ("late", "stop"),
    }
    with serve(
        lambda _path, body: (200, chat_answer(said[(key := body["messages"][0]["content"])][0], finish=said[key][1]))
    ) as server:
        there = remote(server.url)
        found = [one for (one,) in there.generate(list(said), SHORT)]
        again = there.generate(["cut"], SHORT)
    assert [one.text for one in found] == ["late", "late", "", "", "late"]
    assert [one.is_thought for one in found] == [False, False, True, True, False] and again[0][0].is_thought
    told = capsys.readouterr().err
    assert "2 of 5 answers are empty, for their 8 tokens were used up before the first word: tiny thinks" in told
    assert told.count("--max-tokens") == 1


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_thoughts_in_a_field_of_their_own_are_no_answer(name, capsys):
    def reply(_path, body):
        found = chat_answer("late" if body["messages"][0]["content"] == "a" else None)
        found["choices"][0]["message"][name] = "is it late?"
        del found["usage"]
        return 200, found

    with serve(reply) as server:
        there = remote(server.url)
        found = [one for (one,) in there.generate(["a", "b"], SHORT)]
    assert [(one.text, one.is_thought) for one in found] == [("late", False), ("", True)]
    assert (
        "1 of 2 answers are empty, for tiny thinks before it answers, and its thoughts ended without an answer"
        in capsys.readouterr().err
    )
    assert there.spent().tokens_written == 4 + 3, "thoughts are paid for too: four letters a token"


def test_answers_that_are_mostly_cut_off_are_told_once_as_they_may_be_thoughts_without_a_mark(capsys):
    def reply(_path, body):
        return 200, chat_answer("Let me see. Is it", finish="stop" if body["messages"][0]["content"] in "ab" else "length")

    with serve(reply) as server:
        there = remote(server.url)
        there.generate(list("abcd"), SHORT)
        assert capsys.readouterr().err == ""
        there.generate(list("acd"), SHORT)
        there.generate(list("cd"), SHORT)
    told = capsys.readouterr().err
    assert (
        told.count("Warning") == 1 and "2 of 3 answers were cut off at their 8 tokens: tiny thinks before it answers, or" in told
    )


def test_a_stop_text_that_a_server_left_in_ends_no_thought():
    with serve(lambda *_: (200, chat_answer("<think>one\ntwo</think>\nthree\nfour"))) as server:
        found = remote(server.url).generate(["a"], Sampling(stop=("\n",)))
    assert (found[0][0].text, found[0][0].finish) == ("three", "stop")


class Script:
    """In place of a network's own rows: each prompt writes its own tokens."""

    def __init__(self, lines, words):
        self._lines, self._words = lines, words

    def start(self, prompts, owners):
        self._rows = [deque(self._lines[len(prompts[owner])]) for owner in owners]
        return self._next()

    def step(self, tokens):
        return self._next()

    def choose(self, rows):
        self._rows = [deque(self._rows[row]) for row in rows]

    def _next(self):
        return torch.nn.functional.one_hot(torch.tensor([row.popleft() if row else 5 for row in self._rows]), self._words).float()


@pytest.fixture
def thinking(tmp_path, monkeypatch):
    """`thinking(lines, special)`: generator and tokenizer of a decoder that writes lines of words, each behind a prompt of another length."""

    def make(lines, *, special=False):
        tokenizer = tiny_tokenizer().__class__.from_pretrained(save_language_model(tmp_path, "llama"))
        tokenizer.add_tokens(["<think>", "</think>"], special_tokens=special)
        if special:
            tokenizer.add_special_tokens({"additional_special_tokens": ["<think>", "</think>"]})
        ids = {size: tokenizer.convert_tokens_to_ids(line.split()) for size, line in lines.items()}
        monkeypatch.setattr("hone.model.generate.begin_writing", lambda *_, **__: Script(ids, len(tokenizer)))
        net = load_text_model(locate_model(str(tmp_path)), pad_id=0)
        return Generator(net, tokenizer, precision="fp32"), tokenizer

    return make


@pytest.mark.parametrize("special", [False, True])
def test_a_model_here_that_thinks_answers_behind_its_thoughts(special, thinking):
    """Also where its tokenizer leaves the marks out of texts as special tokens; a prompt that begins the thought needs no mark."""
    lines = {
        2: "<think> it , is </think> late , money </s>",
        3: "it , is </think> late , money </s>",
        4: "<think> it , is late money it is",
        5: "late , money </s>",
    }
    generator, tokenizer = thinking(lines, special=special)
    think = tokenizer.convert_tokens_to_ids("<think>")
    prompts = [[7] * 2, [7, 7, think], [7] * 4, [7] * 5]
    found = [one for (one,) in generator.generate(prompts, Sampling(max_new_tokens=8, stop=(",",)))]
    assert [one.text.strip() for one in found] == ["late", "late", "", "late"]
    assert [(one.finish, one.is_thought) for one in found] == [
        ("stop", False),
        ("stop", False),
        ("length", True),
        ("stop", False),
    ]
    assert "".join(generator.stream(prompts[0], Sampling(max_new_tokens=8, stop=(",",)))).strip() == "late"


def test_beams_answer_behind_their_thoughts(thinking):
    generator, _ = thinking({2: "<think> it , is </think> late , money </s>"})
    ((best,),) = generator.generate([[7] * 2], Sampling(max_new_tokens=9, beams=2, stop=(",",)))
    assert (best.text.strip(), best.finish) == ("late", "stop")


def test_an_unfinished_thought_of_a_model_here_is_told(thinking, tmp_path, capsys):
    generator, _ = thinking({2: "<think> it is late it is late it"})
    mine = load_backend(str(tmp_path), precision="fp32", device=torch.device("cpu"), template="{prompt}")
    mine._generator = generator
    mine.generate(["late"], SHORT)
    assert "1 of 1 answers are empty, for their 8 tokens were used up before the first word" in capsys.readouterr().err


def test_options_are_scored_behind_a_thought_that_is_ended():
    tokenizer = tiny_tokenizer().__class__(
        tokenizer_object=tiny_tokenizer().backend_tokenizer, eos_token="</s>", unk_token="[UNK]"
    )
    tokenizer.add_tokens(["<think>", "</think>"])
    tokenizer.chat_template = TEMPLATE
    renderer = Renderer(tokenizer, length=32)
    (asked,), (scored,) = renderer.prompts(["late"], leaving=4), renderer.pairs(["late"], ["money"])[0]
    assert tokenizer.decode(asked[-1:]) == "<think>"
    assert scored == [*asked, tokenizer.convert_tokens_to_ids("</think>")]
