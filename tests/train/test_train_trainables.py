"""The battery that every trainable passes, on every kind of encoder."""

import pytest
import torch

from hone.core.errors import Usage
from hone.model import load_classifier, load_reader, locate_model, pool
from hone.train import TRAINABLES, Classify, SingleTask, TrainPlan, fit, make_trainable, trained_parameters
from tiny import LABELS, SENTENCES

CPU = torch.device("cpu")


@pytest.fixture(params=sorted(TRAINABLES))
def trainable(request):
    """The name of each trainable."""
    return request.param


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
        return net(*reader.pad(reader.tokenize(SENTENCES)))


def train(net, reader, examples, *, steps=3, rate=1e-2):
    """A few steps on all examples at once."""
    objective = Classify(LABELS, reader)
    plan = TrainPlan(learning_rate=rate, head_learning_rate=rate, steps=steps, batch_rows=len(examples), evaluations=0)
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


def test_preparing_leaves_the_answers_as_they_were(folder, family_reader, trainable):
    base = fresh(folder)
    before = logits(base, family_reader)
    assert torch.equal(logits(make_trainable(trainable).prepare(base), family_reader), before)
    assert before.std() > 0.01


def test_steps_move_what_should_move_and_nothing_else(folder, family_reader, trainable, examples):
    net = prepared(folder, trainable)
    before, moving = state(net), set(trained_parameters(net))
    train(net, family_reader, examples)
    assert moved(net, before) == moving


def test_one_step_moves_nothing_that_is_frozen(folder, family_reader, trainable, examples):
    net = prepared(folder, trainable)
    before, moving = state(net), set(trained_parameters(net))
    record = train(net, family_reader, examples, steps=1)
    changed = moved(net, before)
    assert {"classifier.weight", "classifier.bias"} <= changed <= moving
    assert record.trainable_parameters == sum(tensor.numel() for name, tensor in before.items() if name in moving)


def test_every_frozen_parameter_is_the_files(folder, family_reader, trainable, examples):
    net = prepared(folder, trainable)
    train(net, family_reader, examples)
    base = {name.removeprefix("backbone."): tensor for name, tensor in state(fresh(folder)).items()}
    frozen = {name: tensor for name, tensor in net.named_parameters() if not tensor.requires_grad}
    assert trainable == "full" or len(frozen) > 10
    for name, tensor in frozen.items():
        plain = name.removeprefix("backbone.").removeprefix("base_model.model.").replace(".base_layer", "")
        assert torch.equal(tensor, base[plain]), name


def test_a_pooler_that_is_not_used_never_moves(folder, trainable):
    net = prepared(folder, trainable)
    assert not [name for name in trained_parameters(net) if ".pooler." in name]


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


def test_saving_does_not_change_the_network(folder, family_reader, trainable, examples, tmp_path):
    net = prepared(folder, trainable)
    train(net, family_reader, examples, steps=1)
    before = state(net)
    make_trainable(trainable).save(net, tmp_path)
    assert moved(net, before) == set()


def test_only_safetensors_and_json_are_saved(folder, trainable, tmp_path):
    make_trainable(trainable).save(prepared(folder, trainable), tmp_path)
    endings = {file.suffix for file in tmp_path.rglob("*") if file.is_file()}
    assert ".safetensors" in endings and endings <= {".safetensors", ".json", ".md"}


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # peft 0.21 under transformers 5
def test_a_lora_folder_loads_with_plain_peft(folder, family_reader, examples, tmp_path):
    from peft import PeftModel
    from transformers import AutoModel

    net = prepared(folder, "lora")
    train(net, family_reader, examples)
    make_trainable("lora").save(net, tmp_path)
    theirs = PeftModel.from_pretrained(AutoModel.from_pretrained(folder.path, dtype="float32"), tmp_path).eval()
    ids, mask = family_reader.pad(family_reader.tokenize(SENTENCES))
    with torch.no_grad():
        hidden = theirs(input_ids=ids, attention_mask=mask).last_hidden_state
        base = fresh(folder).eval().backbone(input_ids=ids, attention_mask=mask).last_hidden_state
        ours = net.eval().backbone(input_ids=ids, attention_mask=mask).last_hidden_state
    assert torch.equal(hidden, ours) and (base - ours).abs().max() > 1e-3


def test_a_full_folder_loads_with_plain_transformers(folder, family_reader, examples, tmp_path):
    from transformers import AutoModel

    net = prepared(folder, "full")
    train(net, family_reader, examples)
    make_trainable("full").save(net, tmp_path)
    theirs = AutoModel.from_pretrained(tmp_path, dtype="float32").eval()
    ids, mask = family_reader.pad(family_reader.tokenize(SENTENCES))
    with torch.no_grad():
        hidden = theirs(input_ids=ids, attention_mask=mask).last_hidden_state
        ours = net.eval().backbone(input_ids=ids, attention_mask=mask).last_hidden_state
    assert torch.equal(hidden, ours)
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


@pytest.mark.parametrize("name", ["head", "bias", "adapter"])
def test_a_file_of_another_network_is_not_read(located, name, tmp_path):
    make_trainable(name).save(prepared(located("roberta"), name), tmp_path)
    other = "adapter" if name != "adapter" else "bias"
    with pytest.raises(AssertionError, match="saved from another network"):
        make_trainable(other).load(fresh(located("bert")), tmp_path)


def test_an_unknown_trainable_is_answered_with_the_near_name():
    with pytest.raises(
        Usage, match=r"trainable 'lorra' is not known. Did you mean 'lora'\? Known: adapter, bias, full, head, lora."
    ):
        make_trainable("lorra")


@pytest.mark.parametrize("name", sorted(TRAINABLES))
def test_a_trainable_is_known_by_its_own_name(name):
    assert make_trainable(name).name == name


def test_vectors_of_a_prepared_network_carry_gradients(folder, family, family_reader, trainable):
    """With frozen embeddings the gradient must still reach what moves inside. ModernBERT has no bias that could move."""
    net = prepared(folder, trainable).eval()
    ids, mask = family_reader.pad(family_reader.tokenize(SENTENCES))
    vectors = pool(net.backbone, ids, mask, how="mean")
    assert vectors.requires_grad == (trainable != "head" and (family, trainable) != ("modernbert", "bias"))
