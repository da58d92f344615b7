"""A small text model that knows four skills on strings of letters by heart, and its exams: what `forgetting.py` trains.

One text is a question with its answer, 'back a b c = c b a'. A decoder learns it as it stands; an encoder-decoder reads its beginning, cut
anywhere, and writes the rest in place of a gap; gaps of a few tokens are filled, too, as in T5's training.
"""

import itertools
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from hone.catalogue import locate_model
from hone.model import Network, load_language_model, load_reader
from hone.task import Plain
from hone.train import (
    Causal,
    LogitObjective,
    Regulariser,
    SelfReplay,
    SingleTask,
    SourceTarget,
    TrainPlan,
    WriteTarget,
    draw_own_samples,
    fit,
    make_trainable,
    replay,
)

__all__ = ["Family", "School"]

Family = Literal["decoder", "encoder-decoder"]
_STEP_ROWS = 48
_LETTERS = "abcdefgh"
_OLD = {
    "back": lambda t: t[::-1],
    "first": lambda t: t[:1],
    "last": lambda t: t[-1:],
    "next": lambda t: [_LETTERS[(_LETTERS.index(letter) + 1) % len(_LETTERS)] for letter in t],
}
_NEW = {
    "swap": lambda t: [t[1], t[0], t[2]],
    "outer": lambda t: [t[0], t[2]],
    "twice": lambda t: [t[1], t[1]],
    "before": lambda t: [_LETTERS[_LETTERS.index(letter) - 1] for letter in t],
}
_GAP = "<extra_id_0>"
_WORDS = ["<pad>", "<s>", "</s>", _GAP, "=", *_OLD, *_NEW, *_LETTERS]
_EQUALS, _END = _WORDS.index("="), _WORDS.index("</s>")
_HELD = 200  # items of each old skill that no training sees
_LESSON = 300  # items of a new skill; the rest are its exam
_SAMPLES = 1000  # of its own: as many as `hone tune` draws for the benchmark's 200 steps of 5
_FIRST_STEPS = {"decoder": 700, "encoder-decoder": 1500}


def _sentences(skills: dict[str, Any]) -> list[str]:
    return [
        " ".join([name, *letters, "=", *skill(list(letters))])
        for name, skill in skills.items()
        for letters in itertools.product(_LETTERS, repeat=3)
    ]


class School:
    """The model, what it knows, and what it is asked."""

    def __init__(self, folder: Path, family: Family) -> None:
        _save_blank(folder, family)
        self.family = family
        self.folder = locate_model(str(folder))
        self.reader = load_reader(self.folder, precision="fp32", device=torch.device("cpu"))
        self.objective: LogitObjective[Any] = (
            Causal(self.reader) if family == "decoder" else WriteTarget(self.reader, template="{prompt}")
        )
        rng = random.Random(0)
        old = {name: _sentences({name: skill}) for name, skill in _OLD.items()}
        self.asked = [text for texts in old.values() for text in rng.sample(texts, _HELD)]
        held = set(self.asked)
        self.known = [text for texts in old.values() for text in texts if text not in held]
        self.lessons: dict[str, tuple[list[str], list[str]]] = {}
        """Of each new skill what is taught, and its exam."""
        for name, skill in _NEW.items():
            new = _sentences({name: skill})
            rng.shuffle(new)
            self.lessons[name] = new[:_LESSON], new[_LESSON:]
        self.lesson, self.exam = self.lessons["swap"]
        net = self._load()
        self.train(net, self.known, steps=_FIRST_STEPS[family], rate=4e-3, optimiser="muon")
        self._learnt = {name: value.clone() for name, value in net.state_dict().items()}

    def _load(self) -> Network:
        return load_language_model(self.folder, "causal" if self.family == "decoder" else "seq2seq", pad_id=0)

    def base(self, method: str = "full", **options: Any) -> Any:
        """The model that knows the old skills, ready to be trained."""
        net = self._load()
        net.load_state_dict(self._learnt)
        torch.manual_seed(0)
        return make_trainable(method, **options).prepare(net)

    def self_replay(self, net: Any, *, rows: int, seed: int, target: float | None = None) -> SelfReplay:
        """What holds it to texts that it writes of itself; `rows` and `target` as there."""
        length = 16 if self.family == "decoder" else 48
        samples = draw_own_samples(net, self.reader, count=_SAMPLES, length=length, seed=seed)
        return SelfReplay(self.objective, samples, self.reader, rows=rows, target=target)

    def train(
        self,
        net: Network,
        texts: Sequence[str],
        *,
        steps: int,
        rate: float,
        optimiser: Any = "adamw",
        held: Regulariser | None = None,
        older: Sequence[str] = (),
        seed: int = 0,
    ) -> float:
        """Teach it texts; the seconds that took. `older`: texts of which a tenth of each step is drawn."""
        plan = TrainPlan(
            learning_rate=rate,
            head_learning_rate=rate,
            steps=steps,
            batch_rows=_STEP_ROWS,
            forward_tokens=4096,
            evaluations=0,
            optimiser=optimiser,
            weight_decay=0.0,
            seed=seed,
        )
        own, others = self._items(texts), self._items(older)
        mixture = replay(len(own), len(others), rate=0.1) if others else SingleTask(len(own))
        started = time.perf_counter()
        fit(net, [*own, *others], plan=plan, objective=self.objective, mixture=mixture, regulariser=held)
        return time.perf_counter() - started

    def _items(self, texts: Sequence[str]) -> list[Any]:
        if self.family == "decoder":
            return self._whole(texts) if texts else []
        rng = random.Random(0)
        items = []
        for ids in map(self._ids, texts):
            items += [_gap(ids, at) for at in (0, ids.index(_EQUALS) + 1, len(ids), *range(1, len(ids), 2))]
            items += [_gap(ids, at, rng.randint(1, 5)) for at in rng.sample(range(len(ids)), 4)]
        return items

    def _whole(self, texts: Sequence[str]) -> list[Any]:
        assert isinstance(self.objective, Causal)
        return self.objective.encode([Plain(text, "", 0) for text in texts])

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.reader.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    @torch.no_grad()
    def right(self, net: Network, texts: Sequence[str]) -> np.ndarray:
        """Whether each answer is written rightly to its end, [n]: every token of it is the likeliest after those before."""
        was_training = net.training
        net.eval()
        if self.family == "decoder":
            items = self._whole(texts)
            counts = [len(item.labels) for item in items]
            labels = [label for item in items for label in item.labels]
            firsts = [item.ids.index(_EQUALS) for item in items]
        else:
            items = [_gap(ids, ids.index(_EQUALS) + 1) for ids in map(self._ids, texts)]
            counts = [len(item.target) for item in items]
            labels = [label for item in items for label in item.target]
            firsts = [0] * len(items)
        agrees = self.objective.logits(net, items).argmax(dim=-1) == torch.tensor(labels)
        net.train(was_training)
        parts = torch.split(agrees, counts)
        return np.array([bool(part[first:].all()) for part, first in zip(parts, firsts, strict=True)])


def _gap(ids: list[int], at: int, length: int = len(_WORDS)) -> SourceTarget:
    """The text is read with a gap from a place on, and what stood there, so many tokens at most, is written in place of it."""
    gap = _WORDS.index(_GAP)
    return SourceTarget([*ids[:at], gap, *ids[at + length :], _END], [gap, *ids[at : at + length], _END])


def _save_blank(folder: Path, family: Family) -> None:
    """A model of two layers (on each side) and width 64 with random weights, and its tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(_WORDS)}, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=32, **special).save_pretrained(folder)
    torch.manual_seed(0)
    if family == "decoder":
        llama = LlamaConfig(
            vocab_size=len(_WORDS),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=32,
            bos_token_id=1,
            eos_token_id=_END,
            pad_token_id=0,
        )
        LlamaForCausalLM(llama).save_pretrained(folder)
        return
    t5 = T5Config(
        vocab_size=len(_WORDS),
        d_model=64,
        d_kv=16,
        d_ff=128,
        num_layers=2,
        num_decoder_layers=2,
        num_heads=4,
        dropout_rate=0.0,
        eos_token_id=_END,
        pad_token_id=0,
        decoder_start_token_id=0,
    )
    T5ForConditionalGeneration(t5).save_pretrained(folder)
