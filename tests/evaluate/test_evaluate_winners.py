"""The folder `best` of a comparison as a model that answers: what was trained is loaded, and what cannot answer says what to name."""

import json

import pytest
import torch

from hone.core.errors import BadModel
from hone.evaluate.benchmarks import load_answering
from hone.model import Sampling
from hone.strategy import TextBase, TextPredictor
from hone.strategy.text.base import backend_of
from hone.strategy.text.lead import LeadPredictor
from hone.strategy.text.predictor import Asker, Fixed, Reading, Tuned
from hone.task import bundled_templates
from hone.train import make_trainable
from tiny_words import save_word_model


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    return save_word_model(tmp_path_factory.mktemp("base") / "llama", "llama")


def save_winner(folder, decoder, *, trainable=None):
    """A text predictor as `hone compare` leaves it, and its backend; with a trainable its weights are moved away from the base's."""
    base = TextBase(str(decoder), precision="fp32")
    net, tuned = base.load(), None
    if trainable is not None:
        part = make_trainable(trainable)
        net = part.prepare(net)
        with torch.no_grad():
            for parameter in net.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.1)
        part.save(net, folder / "trained")
        tuned = Tuned(trainable, folder / "trained")
    reading = Reading(
        kind="text-generation", labels=(), descriptions={}, rule="sum", content_free=None, temperature=1.0, sampling=Sampling()
    )
    backend = backend_of(net, base.reader)
    TextPredictor(Asker(backend, bundled_templates("text-to-text")[0], False, reading, Fixed()), base, tuned=tuned).save(
        folder / "best"
    )
    (folder / "best" / "hone.json").write_text(json.dumps({"strategy": trainable or "zero_shot"}), encoding="utf-8")
    return folder / "best", backend


def likelihood(backend):
    return backend.score(["harbour sail anchor"], ["boats"])[0].log_likelihood


def test_a_winner_with_trained_weights_is_loaded_as_it_was_trained(decoder, tmp_path):
    best, trained = save_winner(tmp_path, decoder, trainable="lora")
    found, before = (backend_of(*load_answering(str(name), precision="fp32")[1:]) for name in (best, decoder))
    assert likelihood(found) == pytest.approx(likelihood(trained), abs=1e-4)
    assert abs(likelihood(found) - likelihood(before)) > 0.01


def test_a_winner_that_trained_nothing_names_the_model_to_ask(decoder, tmp_path):
    best, _ = save_winner(tmp_path, decoder)
    with pytest.raises(BadModel, match=rf"'zero_shot', which trained nothing(.|\n)*Name that model: {decoder}"):
        load_answering(str(best))


def test_a_winner_that_writes_no_words_of_its_own_says_what_to_name(tmp_path):
    LeadPredictor(2).save(tmp_path / "best")
    (tmp_path / "best" / "hone.json").write_text(json.dumps({"strategy": "first_sentences"}), encoding="utf-8")
    with pytest.raises(BadModel, match=r"'first_sentences', which answers rows like its own(.|\n)*hone predict"):
        load_answering(str(tmp_path / "best"))
