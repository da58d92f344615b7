"""What lm-evaluation-harness asks of generation: repeats that differ, its settings as it understands them, and texts too long to be scored."""

from types import SimpleNamespace

import pytest
from lm_eval.models.utils import postprocess_generated_text

from hone.core.errors import Usage
from hone.evaluate.benchmarks import load_answering
from hone.evaluate.harness import EngineLM
from hone.evaluate.harness_backend import BackendLM
from hone.evaluate.harness_requests import in_groups
from hone.model import Generator, LocalBackend, Scorer, load_backend
from tiny_language import save_language_model
from tiny_server import chat_answer, serve


def asked(*texts, **settings):
    return [SimpleNamespace(args=(text, {"until": ["."], "max_gen_toks": 8, **settings})) for text in texts]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    return load_answering(str(save_language_model(tmp_path_factory.mktemp("llama"), "llama")), precision="fp32")[1:]


@pytest.fixture(params=["engine", "backend"])
def model(request, loaded):
    net, reader = loaded
    if request.param == "backend":
        return BackendLM(LocalBackend(net, reader, template="{prompt}"))
    scorer, generator = Scorer(net, precision="fp32"), Generator(net, reader.tokenizer, precision="fp32")
    return EngineLM(scorer, generator, reader.tokenizer, length=reader.context_length)


def test_a_question_that_is_asked_several_times_gets_answers_that_differ(model):
    """As of a task that takes the majority of 64: one answer 64 times over would be no majority."""
    requests = asked("it is late", *["the refund"] * 6, "it is late", do_sample=True, temperature=1.5)
    found = model.generate_until(requests)
    assert len(set(found[1:7])) > 2 and found[0] != found[7]
    assert found == model.generate_until(requests)
    greedy = model.generate_until(asked(*["the refund"] * 3, do_sample=False))
    assert len(set(greedy)) == 1 and len(greedy) == 3


@pytest.mark.parametrize(
    ("settings", "meant"),
    [
        ({"temperature": 0.6}, {"temperature": 0.6}),  # a temperature alone draws
        ({"temperature": 0.6, "do_sample": False}, {"temperature": 0.0}),
        ({"do_sample": True, "temperature": 1.0, "top_p": 0.9, "min_p": 0.1}, {"temperature": 1.0, "top_p": 0.9, "min_p": 0.1}),
        ({"num_beams": 10, "do_sample": False}, {"beams": 10, "temperature": 0.0}),
        ({"repetition_penalty": 1.2}, {"repetition_penalty": 1.2}),
        ({"until": ["", "."]}, {"stop": (".",)}),
        ({"max_gen_toks": None, "max_tokens": 5}, {"max_new_tokens": 5}),
    ],
)
def test_settings_mean_what_the_harness_means_by_them(settings, meant):
    ((_, sampling),) = in_groups(asked("a", **settings))
    assert {name: getattr(sampling, name) for name in meant} == meant


def test_answers_are_as_long_as_was_asked_for_whatever_the_tasks_say(loaded):
    """And with thoughts before them they are what the harness's think_end_token leaves."""
    ((_, sampling),) = in_groups(asked("a"), longest=500)
    assert sampling.max_new_tokens == 500
    texts = {"a": "<think>one. two</think> three. four", "b": "one. two</think> three. four", "c": "three. four"}
    with serve(lambda _path, body: (200, chat_answer(texts[body["messages"][0]["content"]]))) as server:
        model = BackendLM(load_backend("openai:tiny", base_url=server.url, template="{prompt}"), longest=500)
        found = model.generate_until(asked(*texts))
        assert {body["max_tokens"] for _, body in server.asked} == {500}
    wanted = [postprocess_generated_text(text, ["."], "</think>") for text in texts.values()]
    assert found == wanted == ["three"] * 3


def test_a_setting_without_a_word_for_it_is_told(capsys):
    list(in_groups(asked("a", no_repeat_ngram_size=3)))
    assert "no_repeat_ngram_size=3, which hone does not know" in capsys.readouterr().err


def test_a_text_longer_than_the_context_is_refused_rather_than_scored_in_part(loaded):
    net, reader = loaded
    engine = EngineLM(Scorer(net, precision="fp32"), None, reader.tokenizer, length=reader.context_length)
    fits, longer = ([5] * count for count in (reader.context_length, reader.context_length + 1))
    assert engine._loglikelihood_tokens([(None, [7, 8], fits)])[0][0] < 0
    with pytest.raises(Usage, match=f"a text of {len(longer)} tokens is, .*reads {reader.context_length}"):
        engine._loglikelihood_tokens([(None, [7, 8], longer)])
