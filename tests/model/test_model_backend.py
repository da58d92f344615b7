"""Texts in, texts and likelihoods out: a network here gives what its scorer and generator give on the same ids."""

from types import SimpleNamespace

import pytest
import torch

from hone.catalogue import locate_model
from hone.core.errors import BadModel, MissingPackage, Usage
from hone.model import Generator, LocalBackend, RemoteBackend, Sampling, Scorer, load_backend, load_language_model, load_reader
from hone.model.vllm_engine import generated_from, likelihood_from, sampling_arguments
from tiny import SENTENCES
from tiny_language import tiny_tokenizer

CPU = torch.device("cpu")
PROMPTS = [*SENTENCES[:5], SENTENCES[0]]
ANSWERS = ["refund the money", "late", "it is late", "the money", "money", "late"]


def backend(folder, **more):
    return load_backend(str(folder), precision="fp32", device=CPU, **more)


def parts(folder, head):
    located = locate_model(str(folder))
    return load_language_model(located, head, pad_id=0), load_reader(located, precision="fp32", device=CPU)


def ids(text):
    return tiny_tokenizer()(text, add_special_tokens=False)["input_ids"]


def same(found, wanted):
    for one, other in zip(found, wanted, strict=True):
        assert one.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-5)
        assert (one.is_greedy, one.tokens) == (other.is_greedy, other.tokens)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_a_decoder_gives_what_its_scorer_and_generator_give(kind, folder):
    net, reader = parts(folder(kind), "causal")
    before, after = [[1, *ids(text)] for text in PROMPTS], [ids(text) for text in ANSWERS]
    wanted = Scorer(net, precision="fp32").score(before, after)
    written = Generator(net, reader.tokenizer, precision="fp32").generate(before, Sampling(max_new_tokens=8))
    mine = backend(folder(kind))
    same(mine.score(PROMPTS, ANSWERS), wanted)
    assert [one.ids for (one,) in mine.generate(PROMPTS, Sampling(max_new_tokens=8))] == [one.ids for (one,) in written]


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_an_encoder_decoder_gives_what_its_scorer_and_generator_give(kind, folder):
    net, reader = parts(folder(kind), "seq2seq")
    before, after = [[1, *ids(text), 2] for text in PROMPTS], [[1, *ids(text)] for text in ANSWERS]
    wanted = Scorer(net, precision="fp32").score(before, after)
    written = Generator(net, reader.tokenizer, precision="fp32").generate(before, Sampling(max_new_tokens=8))
    mine = backend(folder(kind))
    same(mine.score(PROMPTS, ANSWERS), wanted)
    assert [one.ids for (one,) in mine.generate(PROMPTS, Sampling(max_new_tokens=8))] == [one.ids for (one,) in written]


@pytest.mark.parametrize(("kind", "head"), [("llama", "causal"), ("t5", "seq2seq")])
def test_the_end_counts_where_it_is_asked_for(kind, head, folder):
    net, reader = parts(folder(kind), head)
    short, long = (LocalBackend(net, reader, scores_end=ends).score(PROMPTS, ANSWERS) for ends in (False, True))
    for one, other in zip(short, long, strict=True):
        assert other.tokens == one.tokens + 1
        assert other.log_likelihood < one.log_likelihood


def test_a_prompt_too_long_loses_its_oldest_part_and_keeps_its_beginning_token(folder):
    words = ["money", "late", "refund"] * 40
    mine = backend(folder("llama"))
    kept = " ".join(words[-(64 - 1 - 8) :])
    (long,), (short,) = mine.generate([" ".join(words), kept], Sampling(max_new_tokens=8))
    assert long.ids == short.ids
    kept = " ".join(words[-(64 - 1 - 3) :])
    one, other = mine.score([" ".join(words), kept], ["refund the money"] * 2)
    assert one.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-5)
    assert mine.count_tokens([" ".join(words)]) == [122]


def test_the_template_stands_around_every_prompt(folder):
    plain, asks = backend(folder("llama")), backend(folder("llama"), template="refund : {prompt} ?")
    wanted = plain.score([f"refund : {text} ?" for text in PROMPTS], ANSWERS)
    same(asks.score(PROMPTS, ANSWERS), wanted)


def test_a_prompt_without_tokens_is_still_answered(folder):
    net, reader = parts(folder("llama"), "causal")
    mine = LocalBackend(net, reader, template="{prompt}")
    mine._renderer._start = []  # as of a tokenizer without a beginning token
    assert len(mine.generate([""], Sampling(max_new_tokens=3))[0]) == 1
    assert mine.score([""], ["late"])[0].tokens == 1


@pytest.mark.parametrize("kind", ["llama", "t5"])
@pytest.mark.parametrize("answer", ["", "late " * 70])
def test_a_continuation_without_tokens_or_with_too_many_is_refused(kind, answer, folder):
    with pytest.raises(Usage, match="Continuation 2 of 2"):
        backend(folder(kind)).score(["late", "late"], ["late", answer])


def test_an_answer_as_long_as_the_context_is_refused(folder):
    with pytest.raises(Usage, match="leaves no room for a prompt: the model reads 64"):
        backend(folder("llama")).generate(["late"], Sampling(max_new_tokens=64))


def test_what_is_spent_here_is_counted_in_tokens(folder):
    mine = backend(folder("llama"))
    mine.score(["late"], ["refund the money"])
    (answer,) = mine.generate(["it is late"], Sampling(max_new_tokens=4))[0]
    spent = mine.spent()
    assert (spent.tokens_read, spent.tokens_written, spent.requests, spent.usd) == (2 + 3 + 4, len(answer.ids), 2, None)


def test_an_encoder_is_refused(folder, located):
    with pytest.raises(BadModel, match="is an encoder, which answers no prompts"):
        backend(folder("bert"))
    net = load_language_model(locate_model(str(folder("bert"))), "masked", pad_id=0)
    with pytest.raises(BadModel, match="fills gaps"):
        LocalBackend(net, load_reader(located(), precision="fp32", device=CPU))


def test_a_models_name_chooses_its_backend(folder):
    assert backend(folder("llama")).name == str(folder("llama"))
    remote = load_backend("openai:tiny", base_url="http://127.0.0.1:9/v1")
    assert isinstance(remote, RemoteBackend)
    assert remote.name == "openai:tiny"


@pytest.mark.parametrize(
    ("model", "more", "said"),
    [
        ("openai:tiny", {}, "go to that server"),
        ("openai:", {"base_url": "http://localhost/v1"}, "names no model"),
        ("vllm:", {}, "names no model"),
        ("openai:tiny", {"base_url": "localhost/v1"}, "is no address"),
        ("openai:tiny", {"base_url": "http://me:secret@localhost/v1"}, "would be stored with the run"),
        ("openai:tiny", {"base_url": "http://localhost/v1?version=2"}, "End it at /v1"),
        ("openai:tiny", {"base_url": "http://localhost/v1", "template": "Answer:"}, "has no {prompt} in it"),
        ("openai:tiny", {"base_url": "http://localhost/v1", "chat": False}, "set the API to completions"),
        ("some/model", {"base_url": "http://localhost/v1"}, "name the model openai:NAME"),
        ("other:model", {}, "stands 'openai' or 'vllm'"),
    ],
)
def test_what_means_nothing_for_a_model_is_refused(model, more, said):
    with pytest.raises((Usage, BadModel)) as told:
        load_backend(model, **more)
    assert said in str(told.value)
    assert "secret" not in str(told.value)


def test_vllm_is_asked_for_by_its_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "vllm", None)
    with pytest.raises(MissingPackage, match=r"pip install 'hone-lm\[vllm\]'"):
        load_backend("vllm:some/model")


def test_settings_become_vllms_own():
    plain = sampling_arguments(Sampling())
    assert plain["top_k"] == -1
    assert (plain["max_tokens"], plain["temperature"], plain["n"], plain["stop"]) == (64, 0.0, 1, [])
    made = sampling_arguments(
        Sampling(max_new_tokens=7, temperature=0.5, top_k=4, top_p=0.9, min_p=0.1, repetition_penalty=1.2, samples=3, seed=5)
    )
    wanted = {"max_tokens": 7, "temperature": 0.5, "top_k": 4, "top_p": 0.9, "min_p": 0.1, "repetition_penalty": 1.2}
    assert made.items() >= {**wanted, "n": 3, "seed": 5}.items()
    with pytest.raises(Usage, match="beams=2"):
        sampling_arguments(Sampling(beams=2))


def completion(index, token_ids, finish, stop=None):
    return SimpleNamespace(
        index=index,
        text=f"text {index}",
        token_ids=token_ids,
        cumulative_logprob=-1.5 - index,
        finish_reason=finish,
        stop_reason=stop,
    )


def test_vllms_answers_end_as_ours_do():
    """The token that ended a text is none of its tokens; the order is that of the samples."""
    outputs = [completion(2, [5, 6], "stop", stop="."), completion(1, [5, 6], "length"), completion(0, [5, 2], "stop")]
    found = generated_from(SimpleNamespace(outputs=outputs))
    assert [(one.text, one.ids, one.finish) for one in found] == [
        ("text 0", (5,), "end"),
        ("text 1", (5, 6), "length"),
        ("text 2", (5, 6), "stop"),
    ]
    assert found[0].log_likelihood == -1.5


class Engine:
    """vLLM's `LLM` as far as it is used, over a tiny decoder."""

    def __init__(self, model, dtype, enable_prefix_caching):
        assert (dtype, enable_prefix_caching) == ("float32", True)
        self.net, self.reader = parts(model, "causal")
        self.llm_engine = SimpleNamespace(model_config=SimpleNamespace(max_model_len=64))

    def get_tokenizer(self):
        return self.reader.tokenizer

    def generate(self, prompts, params, *, use_tqdm):
        rows = [prompt["prompt_token_ids"] for prompt in prompts]
        if params.arguments.get("prompt_logprobs") is not None:
            assert all(len(row) < 64 for row in rows)
            return [SimpleNamespace(prompt_logprobs=self._entries(row)) for row in rows]
        ours = Sampling(max_new_tokens=params.arguments["max_tokens"])
        found = Generator(self.net, self.reader.tokenizer, precision="fp32").generate(rows, ours)
        return [SimpleNamespace(outputs=[self._output(one)]) for (one,) in found]

    def _entries(self, row):
        with torch.no_grad():
            shares = self.net.base(input_ids=torch.tensor([row]), use_cache=False).logits[0].log_softmax(-1)
        entries = [None]
        for at, token in enumerate(row[1:]):
            best = int(shares[at].argmax())
            entries.append({each: SimpleNamespace(logprob=shares[at, each].item()) for each in (best, token)})
        return entries

    @staticmethod
    def _output(one):
        ended = one.finish == "end"
        tokens = [*one.ids, 2] if ended else list(one.ids)
        return SimpleNamespace(
            index=0,
            text=one.text,
            token_ids=tokens,
            cumulative_logprob=one.log_likelihood,
            finish_reason="stop" if ended else "length",
            stop_reason=None,
        )


def test_an_engine_in_vllms_form_gives_what_the_network_gives(folder, monkeypatch):
    """The engine itself needs a GPU; what goes in and what comes out is that of its documented interface."""
    module = SimpleNamespace(LLM=Engine, SamplingParams=lambda **arguments: SimpleNamespace(arguments=arguments))
    monkeypatch.setitem(__import__("sys").modules, "vllm", module)
    theirs, mine = load_backend(f"vllm:{folder('llama')}", precision="fp32"), backend(folder("llama"))
    same(theirs.score(PROMPTS, ANSWERS), mine.score(PROMPTS, ANSWERS))
    sampling = Sampling(max_new_tokens=8)
    assert theirs.generate(PROMPTS, sampling) == mine.generate(PROMPTS, sampling)
    assert theirs.count_tokens(PROMPTS) == mine.count_tokens(PROMPTS)
    assert (theirs.context_length, theirs.spent().requests) == (64, 2 * len(PROMPTS))
    long = "late " * 100
    theirs.score([long], ["money"])


def test_a_likelihood_is_read_from_the_end_of_a_prompt():
    def entry(**values):
        return {int(name[1:]): SimpleNamespace(logprob=value) for name, value in values.items()}

    output = SimpleNamespace(prompt_logprobs=[None, entry(t4=-9.0, t1=-1.0), entry(t5=-0.5), entry(t6=-2.0, t7=-0.25)])
    found = likelihood_from(output, [5, 6])
    assert (found.log_likelihood, found.is_greedy, found.tokens) == (-2.5, False, 2)
    assert likelihood_from(output, [5, 7]).is_greedy


def test_an_engine_that_cannot_load_says_why(monkeypatch):
    def fail(**_):
        raise RuntimeError("no GPU is seen\nand more")

    monkeypatch.setitem(__import__("sys").modules, "vllm", SimpleNamespace(LLM=fail))
    with pytest.raises(BadModel, match="vLLM cannot load 'some/model': no GPU is seen"):
        load_backend("vllm:some/model")
