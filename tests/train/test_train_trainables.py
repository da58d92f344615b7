"""The battery that every trainable passes, on every kind of encoder."""

import pytest
import torch

from hone.catalogue import locate_model
from hone.core.errors import BadModel, Usage
from hone.model import load_classifier, load_reader
from hone.train import TRAINABLES, Classify, SingleTask, TrainPlan, fit, make_trainable, trained_parameters
from tiny import FAMILIES, LABELS, SENTENCES

CPU = torch.device("cpu")
REFUSED = {("deberta-v2", "prefix")}  # it computes its attention by itself
AHEAD = ("prompt", "prefix")  # what stands before a text changes its answer from the start
IN_ONE_FILE = ("head", "bias", "top", "adapter", "prompt", "prefix")
with_each = pytest.mark.parametrize(
    ("family", "trainable"),
    [(family, name) for family in FAMILIES for name in sorted(TRAINABLES) if (family, name) not in REFUSED],
)


def fresh(folder, *, seed=0):
    """A base with a new head, the same for the same seed."""
    torch.manual_seed(seed)
    return load_classifier(folder, LABELS)


def prepared(folder, trainable, *, seed=0):
    """The same, made ready by a trainable."""
    return make_trainable(trainable).prepare(fresh(folder, seed=seed))


def logits(net, reader):
    """Answers to the sentences, without dropout."""
    net.eval()
    with torch.no_grad():
        return net(reader.tokenize(SENTENCES))


def states(net, reader):
    """Last hidden states of all tokens of the sentences."""
    net.eval()
    with torch.no_grad():
        return net.states(reader.tokenize(SENTENCES))


def their_states(net, reader):
    """The same from a network of transformers or peft."""
    ids, mask = reader.pad(reader.tokenize(SENTENCES))
    with torch.no_grad():
        return net.eval()(input_ids=ids, attention_mask=mask).last_hidden_state[mask.bool()]


def close(first, second):
    """Equal but for the order of additions, which differs between packed and padded."""
    torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-4)


def train(net, reader, examples, *, steps=3, rate=1e-2):
    """A few steps on all examples at once."""
    objective = Classify(LABELS, reader)
    plan = TrainPlan(
        learning_rate=rate,
        head_learning_rate=rate,
        steps=steps,
        batch_rows=len(examples),
        evaluations=0,
        weight_decay=0.0,  # what moves is moved by its gradient
    )
    return fit(net, objective.encode(examples), plan=plan, objective=objective, mixture=SingleTask(len(examples)))


def state(net):
    return {name: tensor.detach().clone() for name, tensor in [*net.named_parameters(), *net.named_buffers()]}


def moved(net, before):
    return {name for name, tensor in state(net).items() if not torch.equal(tensor, before[name])}


@pytest.fixture
def folder(located, family):
    """The tiny encoder of each family."""
    return located(family)


@pytest.fixture
def family_reader(folder):
    """Its reader."""
    return load_reader(folder, precision="fp32", device=CPU)


@with_each
def test_preparing_leaves_the_answers_as_they_were(folder, family_reader, trainable):
    base = fresh(folder)
    before = logits(base, family_reader)
    net = make_trainable(trainable).prepare(base)
    assert before.std() > 0.01
    if trainable in AHEAD:
        assert (logits(net, family_reader) - before).abs().max() > 1e-3
        with net.without_prompt():
            assert torch.equal(logits(net, family_reader), before)
        assert (logits(net, family_reader) - before).abs().max() > 1e-3
    else:
        assert torch.equal(logits(net, family_reader), before)


@pytest.mark.parametrize(("family", "name"), sorted(REFUSED))
def test_what_cannot_work_on_a_network_is_refused_before_it_is_touched(located, family, name):
    net = fresh(located(family))
    before = {name: parameter.requires_grad for name, parameter in net.named_parameters()}
    with pytest.raises(Usage, match=r"^DebertaV2Model computes its attention by itself, .* Choose prompt or lora\.$"):
        make_trainable(name).prepare(net)
    assert {name: parameter.requires_grad for name, parameter in net.named_parameters()} == before


@with_each
def test_a_text_is_answered_alone_as_among_others(folder, family_reader, trainable, examples):
    net = prepared(folder, trainable)
    train(net, family_reader, examples)
    together = logits(net, family_reader)
    with torch.no_grad():
        close(torch.cat([net([row]) for row in family_reader.tokenize(SENTENCES)]), together)


@with_each
def test_steps_move_what_should_move_and_nothing_else(folder, family_reader, trainable, examples):
    net = prepared(folder, trainable)
    before, moving = state(net), set(trained_parameters(net))
    train(net, family_reader, examples)
    assert moved(net, before) == moving


@with_each
def test_one_step_moves_nothing_that_is_frozen(folder, family_reader, trainable, examples):
    net = prepared(folder, trainable)
    before, moving = state(net), set(trained_parameters(net))
    record = train(net, family_reader, examples, steps=1)
    changed = moved(net, before)
    assert {"classifier.weight", "classifier.bias"} <= changed <= moving
    assert record.trainable_parameters == sum(tensor.numel() for name, tensor in before.items() if name in moving)


@with_each
def test_every_frozen_parameter_is_the_files(folder, family_reader, trainable, examples):
    net = prepared(folder, trainable)
    train(net, family_reader, examples)
    base = {name.removeprefix("backbone."): tensor for name, tensor in fresh(folder).named_parameters()}
    now = {
        name.removeprefix("backbone.").removeprefix("base_model.model.").replace(".base_layer", ""): tensor
        for name, tensor in net.named_parameters()
    }
    assert base.keys() <= now.keys()
    frozen = {name for name, tensor in now.items() if not tensor.requires_grad}
    assert len(frozen) > {"full": -1, "top": 0}.get(trainable, 10) and frozen <= base.keys()
    assert [name for name in frozen if not torch.equal(now[name], base[name])] == []


@with_each
def test_a_pooler_that_is_not_used_never_moves(folder, trainable):
    net = prepared(folder, trainable)
    assert not [name for name in trained_parameters(net) if ".pooler." in name]


@with_each
def test_what_was_saved_answers_the_same_on_a_fresh_base(folder, family_reader, trainable, examples, tmp_path):
    net = prepared(folder, trainable)
    untrained = logits(net, family_reader)
    train(net, family_reader, examples)
    trained = logits(net, family_reader)
    assert (trained - untrained).abs().max() > 1e-3
    make_trainable(trainable).save(net, tmp_path)
    source = locate_model(str(tmp_path)) if trainable == "full" else folder
    again = make_trainable(trainable).load(fresh(source, seed=5), tmp_path)
    assert torch.equal(logits(again, family_reader), trained)


@with_each
def test_saving_does_not_change_the_network(folder, family_reader, trainable, examples, tmp_path):
    net = prepared(folder, trainable)
    train(net, family_reader, examples, steps=1)
    before = state(net)
    make_trainable(trainable).save(net, tmp_path)
    assert moved(net, before) == set()


@with_each
def test_only_safetensors_and_json_are_saved(folder, trainable, tmp_path):
    make_trainable(trainable).save(prepared(folder, trainable), tmp_path)
    endings = {file.suffix for file in tmp_path.rglob("*") if file.is_file()}
    assert ".safetensors" in endings and endings <= {".safetensors", ".json", ".md"}


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # peft 0.21 under transformers 5
@pytest.mark.parametrize("name", ["lora", "ia3"])
def test_an_adapters_folder_loads_with_plain_peft(name, folder, family_reader, examples, tmp_path):
    from peft import PeftModel
    from transformers import AutoModel

    net = prepared(folder, name)
    train(net, family_reader, examples)
    make_trainable(name).save(net, tmp_path)
    theirs = PeftModel.from_pretrained(AutoModel.from_pretrained(folder.path, dtype="float32"), tmp_path)
    ours = states(net, family_reader)
    close(their_states(theirs, family_reader), ours)
    assert (states(fresh(folder), family_reader) - ours).abs().max() > 1e-2
    assert "hone" not in (tmp_path / "adapter_config.json").read_text().replace(str(folder.path), "")


@pytest.mark.parametrize("name", ["lora", "ia3"])
def test_a_merged_network_answers_the_same_without_an_adapter(name, folder, family_reader, examples):
    net = prepared(folder, name)
    train(net, family_reader, examples)
    before = logits(net, family_reader)
    merged = make_trainable(name).merge(net)
    close(logits(merged, family_reader), before)
    assert {name for name, _ in merged.named_parameters()} == {name for name, _ in fresh(folder).named_parameters()}


def test_a_full_folder_loads_with_plain_transformers(folder, family_reader, examples, tmp_path):
    from transformers import AutoModel

    net = prepared(folder, "full")
    train(net, family_reader, examples)
    make_trainable("full").save(net, tmp_path)
    theirs = AutoModel.from_pretrained(tmp_path, dtype="float32")
    close(their_states(theirs, family_reader), states(net, family_reader))
    assert all(torch.equal(tensor, net.backbone.get_parameter(name)) for name, tensor in theirs.named_parameters())
    assert "hone_packed" not in (tmp_path / "config.json").read_text()  # a name that only hone knows
    assert theirs.config.id2label == dict(enumerate(LABELS))


def test_a_full_folder_pools_as_the_model_it_came_from(located, tmp_path):
    net = prepared(located(), "full")
    net.pooling = "cls"
    make_trainable("full").save(net, tmp_path)
    again = load_classifier(locate_model(str(tmp_path)), LABELS)
    assert again.pooling == "cls"


def test_lora_adapts_every_linear_layer_of_every_block_and_no_other(located):
    net = prepared(located(), "lora")
    adapted = {name.split(".lora_A")[0] for name in trained_parameters(net) if ".lora_A" in name}
    linear = ("attention.self.query", "attention.self.key", "attention.self.value")
    linear += ("attention.output.dense", "intermediate.dense", "output.dense")
    assert adapted == {f"backbone.base_model.model.encoder.layer.{block}.{name}" for block in (0, 1) for name in linear}


def test_what_is_saved_names_its_base_by_the_name_that_others_know(starter, tmp_path):
    from peft import PeftConfig

    net = prepared(starter, "lora")
    make_trainable("lora").save(net, tmp_path)
    config = PeftConfig.from_pretrained(tmp_path)
    assert config.base_model_name_or_path == "sentence-transformers/all-MiniLM-L6-v2"
    assert config.task_type == "FEATURE_EXTRACTION"


@pytest.mark.parametrize("count", [1, 2])
def test_top_trains_the_last_blocks_and_the_head(located, count):
    net = make_trainable("top", count=count).prepare(fresh(located()))
    last = tuple(f"backbone.encoder.layer.{block}." for block in (0, 1)[-count:])
    assert set(trained_parameters(net)) == {name for name, _ in net.named_parameters() if name.startswith((*last, "classifier."))}


def test_more_blocks_than_there_are_cannot_be_trained(located):
    with pytest.raises(Usage, match=r"^The model has 2 blocks, so the last 3 cannot be trained\. Choose fewer, or full\.$"):
        make_trainable("top", count=3).prepare(fresh(located()))


def test_a_prompt_begins_as_embeddings_of_the_vocabulary(folder):
    net = prepared(folder, "prompt")
    words = net.base.get_input_embeddings().weight
    assert net.prompt.shape == (20, words.shape[1])
    assert all((words == row).all(dim=1).any() for row in net.prompt)
    assert not torch.equal(net.prompt, prepared(folder, "prompt", seed=1).prompt)


def test_a_prompt_is_read_as_embeddings_before_each_text(folder, family_reader, examples):
    from transformers import AutoModel

    net = prepared(folder, "prompt")
    train(net, family_reader, examples)
    theirs = AutoModel.from_pretrained(folder.path, dtype="float32").eval()
    found = []
    with torch.no_grad():
        for row in family_reader.tokenize(SENTENCES):
            words = torch.cat([net.prompt, theirs.get_input_embeddings()(torch.tensor(row))])
            found.append(theirs(inputs_embeds=words[None]).last_hidden_state[0, 20:])
    close(states(net, family_reader), torch.cat(found))


def test_a_prefix_is_read_as_keys_and_values_before_those_of_each_layer(located, reader, examples):
    net = prepared(located(), "prefix")
    train(net, reader, examples)
    body, found = net.eval().base, []

    def heads(part):
        return part.unflatten(-1, (2, D // 2)).transpose(0, 1)  # [2, t, D / 2]

    with torch.no_grad():
        for row in reader.tokenize(SENTENCES):
            hidden = body.embeddings(input_ids=torch.tensor([row]))[0]
            for layer in body.encoder.layer:
                own = layer.attention.self
                keys, values = (
                    torch.cat([ahead, heads(project(hidden))], dim=1)
                    for ahead, project in zip(own.prefix, (own.key, own.value), strict=True)
                )
                shares = (heads(own.query(hidden)) @ keys.transpose(1, 2) / (D // 2) ** 0.5).softmax(-1)
                seen = (shares @ values).transpose(0, 1).flatten(1)
                inner = layer.attention.output(seen, hidden)
                hidden = layer.output(layer.intermediate(inner), inner)
            found.append(hidden)
    close(states(net, reader), torch.cat(found))


# BERT of width D, inner width F, 2 blocks; 3 classes.
D, F, BLOCKS, HEAD = 32, 64, 2, 3 * 32 + 3
COUNTS = {
    "head": HEAD,
    # query, key, value, attention output, its norm, output, its norm: D each; the inner layer: F; the embeddings' norm: D
    "bias": HEAD + BLOCKS * (7 * D + F) + D,
    # rank 8 times (inputs + outputs) of four square layers and the two of the feed-forward part
    "lora": HEAD + BLOCKS * 8 * (4 * 2 * D + 2 * (D + F)),
    # down to D / 8 and up again, with biases
    "adapter": HEAD + BLOCKS * (2 * D * (D // 8) + D // 8 + D),
    # both blocks: four square layers and two norms, and the feed-forward part
    "top": HEAD + BLOCKS * (4 * (D * D + D) + 2 * 2 * D + 2 * D * F + F + D),
    # keys, values and the inner layer
    "ia3": HEAD + BLOCKS * (2 * D + F),
    "prompt": HEAD + 20 * D,
    "prefix": HEAD + BLOCKS * 2 * 20 * D,
}


@pytest.mark.parametrize("name", COUNTS)
def test_the_trained_parameters_are_as_many_as_the_formula_says(located, name):
    net = prepared(located(), name)
    assert sum(parameter.numel() for parameter in trained_parameters(net).values()) == COUNTS[name]


def test_full_trains_all_but_the_unused_pooler(located):
    net = prepared(located(), "full")
    pooler = D * D + D
    assert sum(parameter.numel() for parameter in trained_parameters(net).values()) == (
        sum(parameter.numel() for parameter in net.parameters()) - pooler
    )


def test_an_adapters_loss_reaches_its_down_projection_after_one_step(located, reader, examples):
    net = prepared(located(), "adapter")
    down = next(parameter for name, parameter in net.named_parameters() if name.endswith("adapter.down.weight"))
    train(net, reader, examples, steps=1)
    objective = Classify(LABELS, reader)
    objective.loss(net, objective.encode(examples))[0].backward()
    assert down.grad is not None and down.grad.abs().max() > 0


def test_an_adapter_works_inside_the_block_before_the_next_one(located, reader):
    net = prepared(located(), "adapter").eval()
    hidden = []
    block = net.backbone.encoder.layer[1]
    handle = block.register_forward_pre_hook(lambda _block, inputs: hidden.append(inputs[0].detach()))
    logits(net, reader)
    with torch.no_grad():
        net.backbone.encoder.layer[0].adapter.up.bias += 1.0
    logits(net, reader)
    handle.remove()
    torch.testing.assert_close(hidden[1], hidden[0] + 1.0)


@pytest.mark.parametrize("name", IN_ONE_FILE)
def test_a_file_of_another_network_is_not_read(located, name, tmp_path):
    make_trainable(name).save(prepared(located("roberta"), name), tmp_path)
    other = "adapter" if name != "adapter" else "bias"
    with pytest.raises(BadModel, match=r"trained\.safetensors is of another network: \S+ does not fit\. Use the base"):
        make_trainable(other).load(fresh(located("bert")), tmp_path)


@pytest.mark.parametrize(("name", "misfit"), [("prompt", "prompt"), ("prefix", r"backbone\S+0\S+\.prefix")])
def test_a_file_of_other_shapes_is_not_read(located, name, misfit, tmp_path):
    make_trainable(name, tokens=5).save(make_trainable(name, tokens=5).prepare(fresh(located())), tmp_path)
    with pytest.raises(BadModel, match=f"is of another network: {misfit} does not fit"):
        make_trainable(name).load(fresh(located()), tmp_path)


def test_an_unknown_trainable_is_answered_with_the_near_name():
    with pytest.raises(
        Usage,
        match=r"^trainable 'lorra' is not known\. Did you mean 'lora'\? "
        r"Known: adapter, bias, full, head, ia3, lora, prefix, prompt, top\.$",
    ):
        make_trainable("lorra")


@pytest.mark.parametrize("name", sorted(TRAINABLES))
def test_a_trainable_is_known_by_its_own_name(name):
    assert make_trainable(name).name == name


@with_each
def test_vectors_of_a_prepared_network_carry_gradients(folder, family, family_reader, trainable):
    """With frozen embeddings the gradient must still reach what moves inside. ModernBERT has no bias that could move."""
    vectors = prepared(folder, trainable).eval().states(family_reader.tokenize(SENTENCES))
    assert vectors.requires_grad == (trainable != "head" and (family, trainable) != ("modernbert", "bias"))
