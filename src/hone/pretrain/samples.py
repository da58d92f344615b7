"""What a model in the making writes: continued texts of a decoder, filled gaps of the others."""

from collections.abc import Sequence
from typing import Any

import torch

from hone.model import Generator, LanguageModel, Network, Sampling, Seq2SeqModel, TextReader
from hone.pretrain.records import Sample
from hone.train import LogitObjective

__all__ = ["write_samples"]

_READ, _WRITTEN = 16, 64  # tokens


def write_samples(
    net: Network, items: Sequence[Any], reader: TextReader, objective: LogitObjective[Any], *, step: int
) -> list[Sample]:
    """One sample for each item: a decoder goes on with its first tokens at a temperature, the others fill its gaps greedily."""
    if not items:
        return []
    was_training = net.training
    state = torch.get_rng_state()
    torch.manual_seed(0)  # the same gaps each time
    net.eval()
    try:
        if objective.name == "masked":
            return [_filled(net, item, reader, objective, step) for item in items]
        assert isinstance(net, LanguageModel | Seq2SeqModel)
        generator = Generator(net, reader.tokenizer, precision=reader.precision, takes_over=False)
        if objective.name == "causal":
            read = [item.ids[:_READ] for item in items]
            sampling = Sampling(max_new_tokens=_WRITTEN, temperature=0.8, top_p=0.95)
        else:
            read = [item.source for item in objective.collate(items)]
            sampling = Sampling(max_new_tokens=_WRITTEN)
        found = generator.generate(read, sampling)
        skips = objective.name == "causal"  # sentinels are special tokens, and are what is to be seen
        return [
            Sample(step=step, read=_text(reader, ids, skips), written=_text(reader, list(one[0].ids), skips))
            for ids, one in zip(read, found, strict=True)
        ]
    finally:
        net.train(was_training)
        torch.set_rng_state(state)


def _filled(net: Network, item: Any, reader: TextReader, objective: LogitObjective[Any], step: int) -> Sample:
    masked = objective.collate([item])[0]
    with torch.no_grad(), reader.autocast():
        words = objective.logits(net, [masked]).argmax(dim=1).tolist()
    filled = list(masked.ids)
    for place, word in zip(masked.places, words, strict=True):
        filled[place] = word
    return Sample(step=step, read=_text(reader, masked.ids[:_WRITTEN], False), written=_text(reader, filled[:_WRITTEN], True))


def _text(reader: TextReader, ids: Sequence[int], skips: bool) -> str:
    text: str = reader.tokenizer.decode(list(ids), skip_special_tokens=skips)
    return text.strip()
