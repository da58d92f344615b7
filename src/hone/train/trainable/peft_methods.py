"""LoRA and IA3. The door to peft: its file layout, which every server loads; the arithmetic of plain LoRA is hone's (`fused.py`).

LoRA: Hu 2021, https://arxiv.org/abs/2106.09685, on all linear layers of the blocks (Biderman 2024, https://arxiv.org/abs/2405.09673, found this
better than attention alone). Rank-stabilised: Kalajdzievski 2023, https://arxiv.org/abs/2312.03732. DoRA: Liu 2024, https://arxiv.org/abs/2402.09353.
IA3: Liu 2022, https://arxiv.org/abs/2205.05638.
"""

import re
import warnings
from pathlib import Path
from typing import Any

from hone.core.errors import BadModel, Usage
from hone.model import HeadedNetwork, LanguageModel, Network, Seq2SeqModel, load_head, quiet_transformers, save_head
from hone.train.trainable.fused import fuse_lora
from hone.train.trainable.layers import freeze, linear_layers

__all__ = ["IA3", "Lora", "load_library"]

_TOLD = 300  # characters of what peft says


def load_library() -> None:
    """Import peft, and transformers with it, as the first method that is put on does."""
    import peft  # noqa: F401


def _task_type(net: Network) -> str:
    if isinstance(net, Seq2SeqModel):
        return "SEQ_2_SEQ_LM"
    return "CAUSAL_LM" if isinstance(net, LanguageModel) and net.head == "causal" else "FEATURE_EXTRACTION"


def _is_turned(net: Network) -> bool:
    """Whether the linear layers are GPT-2's, whose weights stand the other way round."""
    return any(type(module).__name__ == "Conv1D" for module in net.base.modules())


class _Peft:
    """What peft's methods share: how they are put on, saved and read back."""

    name: str

    def _config(self, net: Network) -> Any:
        raise NotImplementedError

    def prepare(self, net: Network) -> Network:
        """Insert the method, which at first changes no answer; it and a new head move."""
        from peft import get_peft_model

        freeze(net)
        with quiet_transformers():
            net.backbone = get_peft_model(net.base, self._config(net))
        fuse_lora(net.backbone)
        return net

    def save(self, net: Network, folder: Path) -> None:
        """`adapter_config.json` and `adapter_model.safetensors`, as peft writes them, and the head."""
        net.backbone.save_pretrained(folder, save_embedding_layers=False)
        if isinstance(net, HeadedNetwork):
            save_head(net, folder)

    def load(self, net: Network, folder: Path) -> Network:
        """Put a saved adapter, hone's or peft's own, on an untouched base.

        Raises:
            BadModel: the folder holds no adapter, or one of another architecture.
        """
        from peft import PeftModel

        try:
            with quiet_transformers(), net.untaught(), warnings.catch_warnings():
                warnings.filterwarnings("error", message="Found missing adapter keys")
                net.backbone = PeftModel.from_pretrained(net.base, folder)
        except (
            Exception
        ) as error:  # peft raises ValueError, RuntimeError and kinds of its own here; what is missing it only warns of
            first = (
                str(error).strip().splitlines()[0].replace("Found missing adapter keys while loading the checkpoint:", "it lacks")
            )
            first = f"{first[:_TOLD]} ..." if len(first) > _TOLD else first
            raise BadModel(
                f"The adapter in {folder} does not fit {type(net.base).__name__}: {first} Use the base it was made with."
            ) from error
        fuse_lora(net.backbone)
        if isinstance(net, HeadedNetwork):
            load_head(net, folder)
        return net

    def merge(self, net: Network) -> Network:
        """The adapter multiplied into the weights: a network without it that answers the same, up to rounding."""
        net.backbone = net.backbone.merge_and_unload()
        return net


class Lora(_Peft):
    """Low-rank additions B A to all linear layers of the blocks, and a new head."""

    name = "lora"

    def __init__(
        self,
        *,
        rank: int = 8,
        alpha: int | None = None,
        dropout: float = 0.0,
        rank_stabilised: bool = False,
        dora: bool = False,
        layers: int | None = None,
    ) -> None:
        """`alpha`: the addition is scaled by alpha / rank (by alpha / sqrt(rank) where rank-stabilised); twice the rank where left out.

        `layers`: last blocks that it is put on, of encoder and decoder where there are both; None for all.
        """
        self._rank = rank
        self._alpha = 2 * rank if alpha is None else alpha
        self._dropout = dropout
        self._rank_stabilised = rank_stabilised
        self._dora = dora
        self._layers = layers

    def _config(self, net: Network) -> Any:
        from peft import LoraConfig

        return LoraConfig(
            task_type=_task_type(net),
            r=self._rank,
            lora_alpha=self._alpha,
            lora_dropout=self._dropout,
            use_rslora=self._rank_stabilised,
            use_dora=self._dora,
            fan_in_fan_out=_is_turned(net),
            target_modules=linear_layers(net, last=self._layers),
            revision=getattr(net.base.config, "_commit_hash", None),
        )


class IA3(_Peft):
    """Keys, values and the inner layer of each block are scaled by trained vectors."""

    name = "ia3"

    def _config(self, net: Network) -> Any:
        from peft import IA3Config

        names = linear_layers(net)
        read, inner = [name for name in names if _READ.search(name)], [name for name in names if _INNER.search(name)]
        if not read or not inner:
            raise Usage(
                f"IA3 scales keys, values and the inner layer of each block, and hone does not recognise these in {type(net.base).__name__}. "
                "Choose lora."
            )
        return IA3Config(
            task_type=_task_type(net),
            target_modules=[*read, *inner],
            feedforward_modules=inner,
            fan_in_fan_out=_is_turned(net),
            revision=getattr(net.base.config, "_commit_hash", None),
        )


# Names of the layers in transformers: of keys and values, alone or in one product with the queries; and of the way out of the inner layer.
_READ = re.compile(r"(?:^|\.)(?:[kv]|[kv]_proj|[kv]_lin|key|value|key_proj|value_proj|Wqkv|qkv_proj|query_key_value|c_attn)$")
_INNER = re.compile(
    r"(?:^|\.)(?:down_proj|fc2|wo|lin2|mlp\.c_proj|mlp\.Wo|dense_4h_to_h|ffn_output|(?<!attention\.)output\.dense)$"
)
