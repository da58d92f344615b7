"""Training only the rows of the embedding that occur: the same network as with all of them."""

import pytest
import torch

from hone.catalogue import locate_model
from hone.model import load_classifier, load_language_model, load_reader
from hone.task import Completion, Example
from hone.train import Classify, Masked, OwnVectors, SingleTask, TrainPlan, WriteTarget, fit, make_trainable, words
from tiny import LABELS, SENTENCES, save_encoder
from tiny_language import save_language_model

CPU = torch.device("cpu")
ROWS = [Example(text, LABELS[at % 3], "f", at) for at, text in enumerate(SENTENCES[:6])]
PLAN = TrainPlan(steps=6, batch_rows=3, learning_rate=1e-2, head_learning_rate=1e-2, weight_decay=0.0, precision="fp32", seed=0)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return locate_model(str(save_encoder(tmp_path_factory.mktemp("encoder"), "bert")))


def trained(encoder, share, monkeypatch, *, plan=PLAN, **more):
    """A classifier after some steps, and its input embedding; `share` of the vocabulary up to which only words that occur are trained."""
    monkeypatch.setattr(words, "_WORTH", share)
    torch.manual_seed(0)
    net = make_trainable("full").prepare(load_classifier(encoder, LABELS))
    for module in net.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    objective = Classify(LABELS, load_reader(encoder, precision="fp32", device=CPU))
    record = fit(net, objective.encode(ROWS), plan=plan, objective=objective, mixture=SingleTask(len(ROWS)), **more)
    return net, record


def embedding(net):
    return net.base.get_input_embeddings()


def test_the_same_network_comes_out(encoder, monkeypatch):
    seen = []
    few, record = trained(
        encoder, 1.0, monkeypatch, score=lambda net: seen.append(len(embedding(net).weight)) or float(len(seen))
    )
    every, other = trained(encoder, 0.0, monkeypatch)
    assert seen[0] < len(embedding(few).weight) == 200
    assert record.trainable_parameters == other.trainable_parameters
    for name, value in every.state_dict().items():
        assert torch.allclose(few.state_dict()[name], value, atol=1e-5), name
    assert "forward" not in vars(embedding(few)) and isinstance(embedding(few).weight, torch.nn.Parameter)


def test_words_that_never_occur_stay_as_they_were_even_with_decay(encoder, monkeypatch):
    plan = PLAN.model_copy(update={"weight_decay": 0.5})
    net, _ = trained(encoder, 1.0, monkeypatch, plan=plan)
    before = load_classifier(encoder, LABELS).base.get_input_embeddings().weight
    objective = Classify(LABELS, load_reader(encoder, precision="fp32", device=CPU))
    used = objective.words(objective.encode(ROWS))
    moved = (embedding(net).weight != before).any(dim=1).nonzero().flatten().tolist()
    assert set(moved) <= used | {0} and len(moved) >= len(used) - 1


def test_validation_reads_words_that_are_not_trained(encoder, monkeypatch):
    """The score sees the same answers for other words inside the training as after it."""
    other = [[2, *range(100, 130), 3]]
    answers = []

    def score(net):
        with torch.no_grad():
            answers.append(net(other))
        return float(len(answers))

    net, _ = trained(encoder, 1.0, monkeypatch, score=score)
    net.eval()
    with torch.no_grad():
        assert torch.equal(net(other), answers[-1])


def test_what_holds_the_network_may_read_other_words(encoder, monkeypatch):
    """Words of a regulariser's texts are trained too: here some that no row holds."""
    before = load_classifier(encoder, LABELS).base.get_input_embeddings().weight
    reader = load_reader(encoder, precision="fp32", device=CPU)
    objective = Classify(LABELS, reader)
    unread = [word for word in range(4, 200) if word not in objective.words(objective.encode(ROWS))]
    held = OwnVectors([[2, *unread[:10], 3]], reader, rows=1)
    net, _ = trained(encoder, 1.0, monkeypatch, regulariser=held)
    moved = (embedding(net).weight != before).any(dim=1).nonzero().flatten().tolist()
    assert set(unread[:10]) <= set(moved)
    assert not set(unread[10:]) & set(moved)


def test_a_killed_run_goes_on_with_the_same_bits(encoder, monkeypatch, tmp_path):
    plan = PLAN.model_copy(update={"checkpoint_seconds": 0.0})
    whole, _ = trained(encoder, 1.0, monkeypatch, plan=plan)

    class Killed(Exception):
        pass

    def kill(event):
        if event.step == 4:
            raise Killed

    with pytest.raises(Killed):
        trained(encoder, 1.0, monkeypatch, plan=plan, checkpoint=tmp_path / "checkpoint", listener=kill)
    resumed, _ = trained(encoder, 1.0, monkeypatch, plan=plan, checkpoint=tmp_path / "checkpoint")
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def test_shared_tables_and_drawn_words_are_trained_whole(encoder, monkeypatch, tmp_path):
    monkeypatch.setattr(words, "_WORTH", 1.0)
    folder = locate_model(str(save_language_model(tmp_path, "t5")))
    reader = load_reader(folder, precision="fp32", device=CPU)
    net = load_language_model(folder, "seq2seq", pad_id=reader.tokenizer.pad_token_id)
    size = len(embedding(net).weight)
    objective = WriteTarget(reader)
    items = objective.encode([Completion("late parcel", "refund", "f", 1)])
    with words.only_these_words(net, lambda: objective.words(items)):
        assert len(embedding(net).weight) == size
    masked = Masked(load_reader(encoder, precision="fp32", device=CPU))
    assert masked.words([]) is None
    classifier = load_classifier(encoder, LABELS)
    with words.only_these_words(classifier, lambda: masked.words([])):
        assert len(embedding(classifier).weight) == 200


def test_a_word_that_no_item_holds_is_an_error_in_training(encoder, monkeypatch):
    monkeypatch.setattr(words, "_WORTH", 1.0)
    net = load_classifier(encoder, LABELS).train()
    with words.only_these_words(net, lambda: {2, 3}), pytest.raises(AssertionError, match="drew a word"):
        net([[2, 50, 3]])
