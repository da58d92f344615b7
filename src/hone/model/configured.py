"""What a model's generation_config.json asks of every text that it writes, as transformers' `generate` follows it.

The rules are transformers' own processors of scores, called for one row at a time: each has its own length. Beams, lengths and shares to
draw from stand in for what a request leaves open; what the request says wins. What is not followed is told, never dropped in silence.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch

from hone.model.language import Seq2SeqModel, TextModel
from hone.model.sampling import Sampling

__all__ = ["Configured", "Follows", "Rule"]

Rule = Callable[[Sequence[int], torch.Tensor], torch.Tensor]
"""Scores of the next word [V], behind the words written so far, as they are to be chosen from."""

Follows = Literal["ends", "words", "all"]
"""What of it holds: where texts end and what they are made to begin with; also which words may not stand there; or all."""

_IDLE: dict[str, tuple[Any, ...]] = {  # rules that change scores, with the values at which they change nothing
    "sequence_bias": (),
    "encoder_repetition_penalty": (1.0,),
    "no_repeat_ngram_size": (0,),
    "encoder_no_repeat_ngram_size": (0,),
    "bad_words_ids": (),
    "min_length": (0,),
    "min_new_tokens": (0,),
    "forced_eos_token_id": (),
    "exponential_decay_length_penalty": (),
    "suppress_tokens": (),
    "begin_suppress_tokens": (),
    "remove_invalid_values": (False,),
    "renormalize_logits": (False,),
}
_WORDS = (
    "sequence_bias",
    "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size",
    "bad_words_ids",
    "suppress_tokens",
    "begin_suppress_tokens",
)
"""Rules about words, that hold for an answer of any length, however it is searched for."""
_UNHEARD = ("forced_eos_token_id", "remove_invalid_values")
"""Rules that are not missed: an answer ends at its length anyway, and a network that computes nonsense is no network."""
_UNKNOWN: dict[str, tuple[Any, ...]] = {  # what is never followed, as in `_IDLE`
    "guidance_scale": (1.0,),
    "penalty_alpha": (0.0,),
    "num_beam_groups": (1,),
    "diversity_penalty": (0.0,),
    "force_words_ids": (),
    "constraints": (),
    "dola_layers": (),
    "watermarking_config": (),
    "stop_strings": (),
    "max_time": (),
    "token_healing": (False,),
}
_UNKNOWN_DRAWN: dict[str, tuple[Any, ...]] = {
    "typical_p": (1.0,),
    "epsilon_cutoff": (0.0,),
    "eta_cutoff": (0.0,),
    "top_h": (),
}
_LEFT_OPEN: dict[str, tuple[str, Any]] = {  # by the name of a request: the configuration's, and the value that says nothing
    "beams": ("num_beams", 1),
    "length_penalty": ("length_penalty", 1.0),
    "repetition_penalty": ("repetition_penalty", 1.0),
}
_DRAWN = {"top_k": 50, "top_p": 1.0, "min_p": 0.0}
"""Shares to draw from, with transformers' defaults."""


class Configured:
    """The generation configuration of one network."""

    def __init__(self, net: TextModel, follows: Follows = "all") -> None:
        self._net, self._config = net, net.base.generation_config
        self.follows_all = follows == "all"
        asked = self._asked(_IDLE)
        self._rules = asked if self.follows_all else {name: asked[name] for name in _WORDS if name in asked}

    def _said(self, name: str) -> Any:
        return getattr(self._config, name, None)

    def _asked(self, idle: Mapping[str, tuple[Any, ...]]) -> dict[str, Any]:
        """Of some names those with a value that changes something."""
        return {name: value for name, unsaid in idle.items() if (value := self._said(name)) is not None and value not in unsaid}

    @property
    def max_new_tokens(self) -> int | None:
        """Tokens of every answer, whatever a request says; None where the request decides."""
        said = self._said("max_new_tokens") if self.follows_all else None
        return None if said is None else int(said)

    @property
    def early_stopping(self) -> bool | str:
        """When a search by beams ends: True as soon as there are as many texts as beams; `never` only when none can become better."""
        return (self.follows_all and self._said("early_stopping")) or False

    def told(self) -> str:
        """What it asks for beyond where texts end, for a line; empty where that is nothing."""
        lengths = {} if self.max_new_tokens is None else {"max_new_tokens": self.max_new_tokens}
        return _named(lengths | self._left_open() | self._rules)

    def _left_open(self) -> dict[str, Any]:
        return self._asked({name: (idle,) for name, idle in _LEFT_OPEN.values()})

    def unfollowed(self, sampling: Sampling) -> str:
        """What it asks for and these answers are written without, for a line; empty where that is nothing."""
        asked = {} if self.follows_all else self._left_open() | self._asked(_IDLE)
        asked |= self._asked(_UNKNOWN) | (self._asked(_UNKNOWN_DRAWN) if sampling.temperature > 0 else {})
        settled = {theirs for name, (theirs, _) in _LEFT_OPEN.items() if name in sampling.model_fields_set}
        return _named({name: value for name, value in asked.items() if name not in {*self._rules, *settled, *_UNHEARD}})

    def filled(self, sampling: Sampling) -> Sampling:
        """A request with what it leaves open."""
        if not self.follows_all:
            return sampling
        found: dict[str, Any] = {}
        for name, (theirs, _) in _LEFT_OPEN.items():
            if (value := self._said(theirs)) is not None and not (name == "beams" and sampling.temperature > 0):
                found[name] = value
        if sampling.temperature > 0:
            found |= {name: usual if (value := self._said(name)) is None else value for name, usual in _DRAWN.items()}
        said = sampling.model_fields_set
        return sampling.model_copy(update={name: value for name, value in found.items() if name not in said})

    def rule(self, prompt: Sequence[int], sampling: Sampling) -> Rule | None:
        """What changes the scores of an answer to a prompt; None where at most the request's own penalty does."""
        if not self._rules:
            return None
        net, config = self._net, copy.deepcopy(self._config)
        for name in (*_IDLE, *_UNKNOWN):
            if name not in self._rules:
                setattr(config, name, None)
        is_two = isinstance(net, Seq2SeqModel)
        before = list(net.opening) if isinstance(net, Seq2SeqModel) else list(prompt)
        read = 1 if is_two else len(prompt)
        config.do_sample, config.num_beams = False, sampling.beams
        config.repetition_penalty, config.max_length = sampling.repetition_penalty, len(before) + sampling.max_new_tokens
        if config.min_new_tokens is not None:
            config.min_length = config.min_new_tokens + read
        ends = config.eos_token_id
        config._eos_token_tensor = None if ends is None else torch.tensor(ends, device=net.device).reshape(-1)
        change = net.base._get_logits_processor(
            config,
            input_ids_seq_length=read,
            encoder_input_ids=torch.tensor([list(prompt)], device=net.device),
            device=net.device,
            model_kwargs={},
        )

        def changed(written: Sequence[int], scores: torch.Tensor) -> torch.Tensor:
            ids = torch.tensor([[*before, *written]], device=scores.device)
            found: torch.Tensor = change(ids, scores[None].clone())
            return found[0]

        return changed


def _named(asked: Mapping[str, Any]) -> str:
    return ", ".join(name if isinstance(value, list | dict) else f"{name}={value}" for name, value in asked.items())
