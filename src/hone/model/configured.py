"""What a model's generation_config.json asks of every text that it writes, as transformers' `generate` follows it.

The rules are transformers' own processors of scores, called for one row at a time: each has its own length. Beams, lengths and shares to
draw from stand in for what a request leaves open; what the request says wins.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch

from hone.model.language import Seq2SeqModel, TextModel
from hone.model.sampling import Sampling

__all__ = ["Configured", "Rule"]

Rule = Callable[[Sequence[int], torch.Tensor], torch.Tensor]
"""Scores of the next word [V], behind the words written so far, as they are to be chosen from."""

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

    def __init__(self, net: TextModel) -> None:
        self._net, self._config = net, net.base.generation_config
        self._rules = {
            name: value for name, idle in _IDLE.items() if (value := self._said(name)) is not None and value not in idle
        }

    def _said(self, name: str) -> Any:
        return getattr(self._config, name, None)

    @property
    def max_new_tokens(self) -> int | None:
        """Tokens of every answer, whatever a request says; None where the request decides."""
        said = self._said("max_new_tokens")
        return None if said is None else int(said)

    @property
    def early_stopping(self) -> bool | str:
        """When a search by beams ends: True as soon as there are as many texts as beams; `never` only when none can become better."""
        return self._said("early_stopping") or False

    def told(self) -> str:
        """What it asks for beyond where texts end, for a line; empty where that is nothing."""
        named = {name: self._said(name) for name, idle in _LEFT_OPEN.values() if self._said(name) not in (None, idle)}
        lengths = {} if self.max_new_tokens is None else {"max_new_tokens": self.max_new_tokens}
        asked = lengths | named | self._rules
        return ", ".join(name if isinstance(value, list | dict) else f"{name}={value}" for name, value in asked.items())

    def filled(self, sampling: Sampling) -> Sampling:
        """A request with what it leaves open."""
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
        is_two = isinstance(net, Seq2SeqModel)
        before = list(net.opening) if isinstance(net, Seq2SeqModel) else list(prompt)
        read = 1 if is_two else len(prompt)
        config.do_sample, config.num_beams, config.guidance_scale = False, sampling.beams, None
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
