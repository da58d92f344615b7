"""Language modelling with a decoder: answers to prompts (loss on the answer only, unless asked), and plain text."""

from collections.abc import Sequence

import torch
from torch import nn

from hone.model import Renderer, TextReader
from hone.task import Completion, Dialogue, Plain
from hone.train.contracts import HeadKind
from hone.train.objective.items import Placed, PlacedLabels, spread

__all__ = ["Causal", "Complete", "PlacedObjective"]


class PlacedObjective(PlacedLabels):
    """Cross-entropy of the vocabulary at places of a sequence."""

    def loss(self, net: nn.Module, batch: Sequence[Placed]) -> tuple[torch.Tensor, int]:
        """The same without the logits existing whole."""
        rows, places, labels = spread(batch, next(net.parameters()).device)
        return net(rows, places, labels), len(labels)


class Complete(PlacedObjective):
    """Prompt and completion, or a dialogue: the model learns to write the answers and to stop after them."""

    name = "completion"
    head: HeadKind = "causal"

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer

    def encode(self, examples: Sequence[Completion | Dialogue]) -> list[Placed]:
        """One item per example; an item without places has nothing left to train after it was cut."""
        items = []
        for example in examples:
            if isinstance(example, Dialogue):
                found = self._renderer.dialogue([(message.role, message.content) for message in example.messages])
            else:
                found = self._renderer.completion(example.prompt, example.completion)
            before = [index - 1 for index, trained in enumerate(found.is_trained) if trained and index > 0]
            items.append(Placed(found.ids, before, [found.ids[place + 1] for place in before], found.is_cut, found.answer))
        return items


class Causal(PlacedObjective):
    """Plain text: every token from those before it. Long texts are divided at the context length, short ones end by themselves."""

    name = "causal"
    head: HeadKind = "causal"

    def __init__(self, reader: TextReader) -> None:
        tokenizer = reader.tokenizer
        end, begin = tokenizer.eos_token_id, tokenizer.bos_token_id
        self._reader = reader
        self.around = ([] if begin is None or begin == end else [begin], [] if end is None else [end])
        self.room = reader.context_length

    def encode(self, examples: Sequence[Plain]) -> list[Placed]:
        """Pieces of at most the context length; a text ends with the end-of-sequence token where there is one."""
        begin, end = self.around
        items = []
        texts = [example.text for example in examples]
        for ids in self._reader.tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"] if texts else []:
            whole = [*begin, *ids, *end]
            pieces = [whole[at : at + self.room] for at in range(0, len(whole), self.room)]
            items += [self.piece(piece) for piece in pieces if len(piece) > 1]
        return items

    def piece(self, tokens: list[int]) -> Placed:
        """All tokens but the first are learnt."""
        return Placed(tokens, list(range(len(tokens) - 1)), tokens[1:])
