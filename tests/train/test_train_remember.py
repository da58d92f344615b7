"""What a model writes of itself keeps it from forgetting, without the data it learnt from; and the dial between base and result.

The pilot: a small decoder learns four skills by heart, then a fifth from 400 examples. Trained plainly it forgets the four; with a few of its
own samples in each step it keeps them, and learns the fifth as well.
"""

import itertools
import random

import pytest
import torch

from hone.catalogue import locate_model
from hone.core.errors import Usage
from hone.model import Generator, Renderer, Sampling, load_language_model, load_reader
from hone.task import Completion, Plain
from hone.train import (
    Causal,
    Dial,
    Placed,
    SelfReplay,
    SingleTask,
    SourceTarget,
    SpanCorruption,
    StartingPoint,
    TrainPlan,
    WriteTarget,
    draw_own_samples,
    fit,
    make_trainable,
)
from tiny_language import save_language_model

LETTERS = "abcdef"
OLD = {
    "back": lambda t: t[::-1],
    "first": lambda t: t[:1],
    "last": lambda t: t[-1:],
    "next": lambda t: [LETTERS[(LETTERS.index(letter) + 1) % 6] for letter in t],
}
NEW = {"swap": lambda t: [t[1], t[0], t[2]]}
WORDS = ["<pad>", "<s>", "</s>", "=", *OLD, *NEW, *LETTERS]


def sentences(skills):
    return [
        " ".join([name, *letters, "=", *skill(list(letters))])
        for name, skill in skills.items()
        for letters in itertools.product(LETTERS, repeat=3)
    ]


class School:
    """The small decoder and its lessons."""

    def __init__(self, folder):
        from tokenizers import Tokenizer, models, pre_tokenizers
        from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

        tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="<pad>"))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        special = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=32, **special).save_pretrained(folder)
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=len(WORDS),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=32,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=0,
        )
        LlamaForCausalLM(config).save_pretrained(folder)
        self.folder = locate_model(str(folder))
        self.reader = load_reader(self.folder, precision="fp32")
        rng = random.Random(0)
        self.asked = {name: rng.sample(sentences({name: OLD[name]}), 40) for name in OLD}
        held = {text for texts in self.asked.values() for text in texts}
        net = load_language_model(self.folder, "causal", pad_id=0)
        self.train(net, [text for text in sentences(OLD) if text not in held], steps=400, rate=4e-3, optimiser="muon")
        self.learnt = {name: value.clone() for name, value in net.state_dict().items()}
        new = sentences(NEW)
        rng.shuffle(new)
        self.lesson, self.exam = new[:150], new[150:200]

    def base(self):
        net = load_language_model(self.folder, "causal", pad_id=0)
        net.load_state_dict(self.learnt)
        return net

    def train(self, net, texts, *, steps, rate, optimiser="adamw", regulariser=None):
        plan = TrainPlan(
            learning_rate=rate,
            head_learning_rate=rate,
            steps=steps,
            batch_rows=48,
            forward_tokens=4096,
            evaluations=0,
            optimiser=optimiser,
            weight_decay=0.0,
        )
        objective = Causal(self.reader)
        items = objective.encode([Plain(text, "", 0) for text in texts])
        return fit(net, items, plan=plan, objective=objective, mixture=SingleTask(len(items)), regulariser=regulariser)

    def samples(self, count=256):
        return draw_own_samples(self.base(), self.reader, count=count, length=16, seed=1)

    def share_right(self, net, texts):
        generator = Generator(net, self.reader.tokenizer, precision="fp32", takes_over=False)
        prompts = [[1, *self.reader.tokenizer(text.split("=")[0] + "=")["input_ids"]] for text in texts]
        found = [answers[0].text.split() for answers in generator.generate(prompts, Sampling(max_new_tokens=5))]
        return sum(one == text.split("=")[1].split() for one, text in zip(found, texts, strict=True)) / len(texts)

    def kept(self, net):
        return sum(self.share_right(net, texts) for texts in self.asked.values()) / len(self.asked)


@pytest.fixture(scope="module")
def school(tmp_path_factory):
    return School(tmp_path_factory.mktemp("school"))


def test_the_base_knows_its_four_skills(school):
    assert school.kept(school.base()) > 0.97


def test_what_the_base_writes_of_itself_is_what_it_learnt(school):
    known = set(sentences(OLD))
    written = [school.reader.tokenizer.decode(item.ids, skip_special_tokens=True) for item in school.samples(64)]
    assert sum(text in known for text in written) > 0.9 * len(written)
    assert len(set(written)) > 40


def test_plain_training_forgets_and_self_replay_does_not(school):
    naive, held = school.base(), school.base()
    school.train(naive, school.lesson, steps=300, rate=2e-3)
    regulariser = SelfReplay(Causal(school.reader), school.samples(), school.reader, rows=5)
    school.train(held, school.lesson, steps=300, rate=2e-3, regulariser=regulariser)
    assert school.share_right(naive, school.exam) > 0.95
    assert school.share_right(held, school.exam) > 0.95
    assert school.kept(naive) < 0.05
    assert school.kept(held) > 0.95


def test_a_target_steers_the_strength_until_the_divergence_keeps_to_it(school):
    found = {}
    for target in (0.3, 0.03):
        regulariser = SelfReplay(Causal(school.reader), school.samples(), school.reader, rows=5, target=target)
        school.train(school.base(), school.lesson, steps=200, rate=1e-3, regulariser=regulariser)
        found[target] = regulariser
    assert found[0.03].strength > found[0.3].strength
    assert found[0.03].divergence < 0.06 < 0.6
    assert found[0.3].divergence < 0.6


def test_the_divergence_is_that_of_the_whole_vocabulary_where_it_is_small(school):
    """15 words, 14 of which are taken down and the last counts as the rest: nothing is left out."""
    from hone.train.regulariser.self_replay import divergence, take_down

    objective, items = Causal(school.reader), school.samples(8)
    base, other = school.base(), load_language_model(school.folder, "causal", pad_id=0)
    with torch.no_grad():
        own, tuned = objective.logits(base, items), objective.logits(other, items)
    exact = torch.nn.functional.kl_div(tuned.log_softmax(1), own.log_softmax(1), log_target=True, reduction="none").sum(1)
    taken = take_down(base, objective, items, school.reader)
    assert torch.allclose(divergence(tuned, taken), exact, atol=1e-4)
    assert divergence(own, taken).abs().max() < 1e-5


def test_self_replay_goes_on_with_the_strength_it_had(school):
    regulariser = SelfReplay(Causal(school.reader), school.samples(8), school.reader, rows=2, target=0.1)
    regulariser.strength, regulariser.divergence = 7.5, 0.25
    other = SelfReplay(Causal(school.reader), school.samples(8), school.reader, rows=2, target=0.1)
    other.restore(regulariser.state())
    assert (other.strength, other.divergence) == (7.5, 0.25)


def test_a_chat_model_writes_a_users_turn_and_answers_it(school):
    reader = load_reader(school.folder, precision="fp32")
    said = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    reader.tokenizer.chat_template = "{{ '<s> next ' }}" + said + "{% if add_generation_prompt %}{{ ' = ' }}{% endif %}"
    for item in draw_own_samples(school.base(), reader, count=8, length=8, seed=0):
        text = reader.tokenizer.decode(item.ids)
        assert text.startswith("<s> next")
        assert "=" in text
        assert item.labels == item.ids[2:]  # all but the opening is the model's own


@pytest.mark.parametrize("kind", ["llama", "t5"])
def test_half_of_the_samples_are_written_behind_prompts_where_there_are_some(kind, tmp_path):
    folder = locate_model(str(save_language_model(tmp_path, kind)))
    reader = load_reader(folder, precision="fp32")
    net = load_language_model(folder, "causal" if kind == "llama" else "seq2seq", pad_id=reader.pad_id)
    prompts = ["where is my parcel", "the refund is late"]
    items = draw_own_samples(net, reader, count=20, length=12, seed=0, prompts=prompts)
    renderer = Renderer(reader.tokenizer, length=reader.context_length, chat=False)
    asked = reader.tokenize(prompts) if kind == "t5" else renderer.prompts(prompts, leaving=12)

    def read(item):
        return item.source if kind == "t5" else item.ids[: item.places[0] + 1]

    behind = [item for item in items if read(item) in asked]
    assert len(items) == 20
    assert [sum(read(item) == prompt for item in behind) for prompt in asked] == [5, 5]
    assert len({tuple(item.target if kind == "t5" else item.labels) for item in behind}) > 2  # drawn, not the likeliest each time
    for item in behind if kind == "llama" else ():
        assert item.labels == item.ids[item.places[0] + 1 :]


@pytest.mark.parametrize("prompts", [(), ("it is late",)], ids=["unasked", "asked"])
@pytest.mark.parametrize("is_chat", [False, True])
@pytest.mark.parametrize("kind", ["gpt2", "bart"])
def test_samples_keep_to_a_context_shorter_than_they_are(kind, is_chat, prompts, tmp_path):
    """Of 64 tokens, behind which the networks have no positions."""
    folder = locate_model(str(save_language_model(tmp_path, kind)))
    reader = load_reader(folder, precision="fp32")
    if is_chat:
        reader.tokenizer.chat_template = "{% for m in messages %}late {{ m['content'] }} {% endfor %}money "
    net = load_language_model(folder, "causal" if kind == "gpt2" else "seq2seq", pad_id=0)
    for item in draw_own_samples(net, reader, count=16, seed=0, prompts=prompts):
        assert max(len(ids) for ids in ((item.ids,) if kind == "gpt2" else (item.source, item.target))) <= 64


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_an_encoder_decoder_fills_gaps_of_its_own(kind, tmp_path):
    folder = locate_model(str(save_language_model(tmp_path, kind)))
    reader = load_reader(folder, precision="fp32")
    net = load_language_model(folder, "seq2seq", pad_id=reader.pad_id)
    items = draw_own_samples(net, reader, count=12, length=16, seed=0)
    assert len(items) == 12
    assert all(isinstance(item, SourceTarget) and item.target for item in items)
    assert len({tuple(item.source) for item in items}) > 3
    again = draw_own_samples(net, reader, count=12, length=16, seed=0)
    assert again == items


def test_an_encoder_decoder_reads_whole_beginnings_and_gaps_within(tmp_path):
    """Not only texts that end where its own writing ends, and none of which nothing follows."""
    folder = locate_model(str(save_language_model(tmp_path, "t5")))
    reader = load_reader(folder, precision="fp32")
    net = load_language_model(folder, "seq2seq", pad_id=reader.pad_id)
    items = draw_own_samples(net, reader, count=40, length=64, seed=0)
    gap = reader.tokenizer.get_vocab()["<extra_id_0>"]
    within = [item for item in items if item.source.index(gap) < len(item.source) - 2]
    grown = [item for item in items if item.source.index(gap) == len(item.source) - 2]
    assert len(within) >= 8 and len(grown) >= 8
    assert len({item.source.index(gap) for item in items}) > 5
    assert any(item.source.index(gap) <= 1 for item in grown)  # and from nothing


def test_an_encoder_decoder_keeps_to_its_own_distribution(tmp_path):
    folder = locate_model(str(save_language_model(tmp_path, "t5")))
    reader = load_reader(folder, precision="fp32")
    found = {}
    for is_held in (False, True):
        net = load_language_model(folder, "seq2seq", pad_id=reader.pad_id)
        own = draw_own_samples(net, reader, count=32, length=16, seed=0)
        objective = WriteTarget(reader)
        gauge = SelfReplay(SpanCorruption(reader), own, reader, rows=8)
        gauge.start(net, objective, [])
        items = objective.encode([Completion(f"{n} parcel", "please refund", "", n) for n in range(20)])
        plan = TrainPlan(learning_rate=3e-3, head_learning_rate=3e-3, steps=30, batch_rows=8, evaluations=0)
        regulariser = SelfReplay(SpanCorruption(reader), own, reader, rows=8, strength=5.0) if is_held else None
        fit(net, items, plan=plan, objective=objective, mixture=SingleTask(len(items)), regulariser=regulariser)
        gauge.on_step(net)
        found[is_held] = gauge.divergence
    assert found[True] < 0.3 * found[False]


@pytest.mark.parametrize("method", ["full", "lora", "adapter", "ia3", "top"])
def test_the_dial_gives_the_base_at_0_the_result_at_1_and_something_between(method, school):
    options = {"top": {"count": 1}}.get(method, {})
    net = make_trainable(method, **options).prepare(school.base())
    start = StartingPoint(net)
    items = [Placed([1, 4, 9, 9, 9], [0, 1, 2, 3], [4, 9, 9, 9])]
    objective = Causal(school.reader)

    def answers():
        net.eval()
        with torch.no_grad():
            return objective.logits(net, items)

    base = answers()
    school.train(net, school.lesson, steps=10, rate=1e-2)
    tuned = answers()
    dial = Dial(net, start)
    found = {}
    for position in (0.0, 0.3, 0.7, 1.0):
        dial.turn(position)
        found[position] = answers()
    assert torch.equal(found[0.0], base)
    assert torch.equal(found[1.0], tuned)
    assert not torch.allclose(base, tuned)
    between = [(found[position] - base).norm() for position in (0.3, 0.7, 1.0)]
    assert 0 < between[0] < between[1] < between[2] * 1.5


def test_the_dial_of_lora_scales_what_is_added_exactly(school):
    net = make_trainable("lora").prepare(school.base())
    start = StartingPoint(net)
    school.train(net, school.lesson, steps=5, rate=1e-2)
    layer = next(module for module in net.modules() if type(module).__name__ == "Linear" and hasattr(module, "lora_B"))
    whole = (layer.lora_B["default"].weight @ layer.lora_A["default"].weight).clone()
    Dial(net, start).turn(0.25)
    assert torch.allclose(layer.lora_B["default"].weight @ layer.lora_A["default"].weight, 0.25 * whole, atol=1e-7)


@pytest.mark.parametrize("method", ["prompt", "prefix"])
def test_virtual_tokens_have_no_dial(method, school):
    net = make_trainable(method, tokens=4).prepare(school.base())
    with pytest.raises(Usage, match="no position between"):
        Dial(net, StartingPoint(net))
