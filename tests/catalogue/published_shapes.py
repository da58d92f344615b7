"""What transformers builds from a shape in the catalogue: the network on the meta device, without memory."""

from hone.catalogue import CatalogueEntry
from hone.model import configuration_of


def network_of(entry: CatalogueEntry):
    """The network that transformers makes of the entry's numbers."""
    import torch
    import transformers

    make = transformers.AutoModel if entry.family == "encoder" else transformers.AutoModelForCausalLM
    make = transformers.AutoModelForSeq2SeqLM if entry.family == "encoder-decoder" else make
    with torch.device("meta"):
        return make.from_config(configuration_of(entry))


def parameters_of(entry: CatalogueEntry) -> int:
    """Parameters of that network, tied ones once; built with few layers, because each further one adds as many."""
    shape = entry.shape
    deep = {"layers": shape.layers, "decoder_layers": shape.decoder_layers or shape.layers}
    start = _count(entry, layers=2, decoder_layers=2)
    if entry.family != "encoder-decoder":
        return start + (_count(entry, layers=4, decoder_layers=2) - start) * (deep["layers"] - 2) // 2
    of_encoder = _count(entry, layers=3, decoder_layers=2) - start
    of_decoder = _count(entry, layers=2, decoder_layers=3) - start
    return start + of_encoder * (deep["layers"] - 2) + of_decoder * (deep["decoder_layers"] - 2)


def _count(entry: CatalogueEntry, **layers: int) -> int:
    few = entry.model_copy(update={"shape": entry.shape.model_copy(update=layers)})
    names = network_of(few).named_parameters()
    counted = sum(parameter.numel() for name, parameter in names if not _is_computed(entry, name))
    is_untied_t5 = entry.architecture in ("t5-gated", "mt5") and not entry.tied
    return counted + (entry.shape.vocabulary * entry.shape.hidden if is_untied_t5 else 0)


def _is_computed(entry: CatalogueEntry, name: str) -> bool:
    """Pegasus' positions are sines, which transformers holds as parameters."""
    return entry.architecture == "pegasus" and "embed_positions" in name
