"""Whether what a network remembers of earlier passes changes nothing: tried once, with real numbers, before anything is shared.

That an architecture packs is not enough: one that calls its attention twice in a pass, say, packs well and remembers wrongly.
"""

from collections.abc import Iterator

import torch

from hone.core.console import note
from hone.model.arithmetic import Arithmetic, autocast
from hone.model.language import LanguageModel, TextModel
from hone.model.memory import Memory, Tree
from hone.model.packed_attention import Layout, set_layout
from hone.model.packing import REFUSALS
from hone.model.write import begin_writing

__all__ = ["may_share"]

_TOLD: set[str] = set()  # lines of this process: a comparison loads a network for each strategy
_TOLERANCE, _ROUNDED = 1e-3, 0.05  # of the largest logit: in fp32, and where matrices are held in fewer bits


def may_share(net: TextModel, precision: Arithmetic) -> bool:
    """Whether keys and values of earlier passes may be read again. Tried when it is first asked; says so where it fails, once."""
    if net.remembers is None:
        net.remembers = net.packs and _remembers(net, precision)
        if not net.remembers:
            why = (
                "computes something else from remembered keys" if net.packs else "has nothing to remember that texts could share"
            )
            _tell(f"{type(net.base).__name__} {why}, so every text is read from its beginning.")
    return net.remembers


def _tell(line: str) -> None:
    if line not in _TOLD:
        _TOLD.add(line)
        note(line)


@torch.no_grad()
def _remembers(net: TextModel, precision: Arithmetic) -> bool:
    """Whether rows that are written, and for a decoder a tree of texts behind a shared beginning, have the logits of whole rows."""
    is_exact = all(parameter.dtype == torch.float32 for parameter in net.parameters())
    tolerance = _TOLERANCE if is_exact else _ROUNDED
    was_training = net.training
    net.eval()
    try:
        with autocast("fp32" if is_exact else precision, net.device):
            for found, wanted in _answers(net):
                if found.shape != wanted.shape or not bool((found - wanted).abs().max() <= tolerance * wanted.abs().max()):
                    return False
    except REFUSALS:
        return False
    finally:
        net.train(was_training)
        set_layout(None)
    return True


def _answers(net: TextModel) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Logits with memory and without, [n, V] each."""
    size = int(net.base.get_input_embeddings().weight.shape[0])
    ids = torch.randint(size, (9,), generator=torch.Generator().manual_seed(0)).tolist()
    block, a, b, c, d = ids[:5], *ids[5:]
    prompts = [[*block, a, b], [*block, c]]
    ways = [begin_writing(net, prompts, shares=shares, least_shared=2) for shares in (True, False)]
    for way in ways:
        way.start(prompts, [0, 1, 1])
    yield ways[0].step([b, c, d]), ways[1].step([b, c, d])
    if isinstance(net, LanguageModel):
        texts = [[*block, *path] for path in ([a], [a, b], [a, c], [d])]
        wanted = begin_writing(net, texts, shares=False).start(texts, range(len(texts)))
        yield _in_a_tree(net, block, [a, b, c, d]), wanted


def _in_a_tree(net: LanguageModel, block: list[int], ids: list[int]) -> torch.Tensor:
    """Logits of four tokens behind a remembered beginning: the second and the third both follow the first, the fourth none of them."""
    memory = Memory(net)
    read = list(net.lengthened([block])[0])
    for _, inputs in net.prefix_passes(read, 0, len(read), memory, size=len(read)):
        list(net.words_at(inputs, []))
    depths = tuple(len(read) + depth for depth in (0, 1, 1, 0))
    memory.read_tree(Tree((-1, 0, 0, -1), depths))
    inputs = net.remembered(ids, depths, Layout((len(ids),)), memory)
    return torch.cat([logits for _, logits in net.words_at(inputs, range(len(ids)))])
