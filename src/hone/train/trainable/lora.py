"""LoRA: each linear layer gets a low-rank addition B A, and the base stays as it is. The door to peft.

Source: Hu 2021, https://arxiv.org/abs/2106.09685. All linear layers of the backbone are adapted (Biderman 2024 found this better than
attention alone). Saved in peft's own layout, so `PeftModel.from_pretrained` loads it on `AutoModel`, with the head beside it.
"""

from pathlib import Path

from torch import nn

from hone.model import PooledClassifier, load_head, quiet_transformers, save_head

__all__ = ["Lora"]


class Lora:
    """Low-rank adapters on all linear layers, and the head."""

    name = "lora"

    def __init__(self, *, rank: int = 8, scale: float = 2.0, dropout: float = 0.0) -> None:
        self._rank = rank
        self._alpha = round(rank * scale)
        self._dropout = dropout

    def prepare(self, net: PooledClassifier) -> PooledClassifier:
        """Insert the adapters (B starts at 0, so the network answers as before); they and the head move."""
        from peft import LoraConfig, TaskType, get_peft_model

        linear = [
            name
            for name, module in net.backbone.named_modules()
            if isinstance(module, nn.Linear) and not name.startswith("pooler.")
        ]
        config = LoraConfig(
            task_type=TaskType.FEATURE_EXTRACTION,
            r=self._rank,
            lora_alpha=self._alpha,
            lora_dropout=self._dropout,
            target_modules=linear,
            revision=getattr(net.backbone.config, "_commit_hash", None),
        )
        with quiet_transformers():
            net.backbone = get_peft_model(net.backbone, config)
        return net

    def save(self, net: PooledClassifier, folder: Path) -> None:
        """`adapter_config.json` and `adapter_model.safetensors`, as peft writes them, and the head."""
        net.backbone.save_pretrained(folder, save_embedding_layers=False)  # type: ignore[operator]
        save_head(net, folder)

    def load(self, net: PooledClassifier, folder: Path) -> PooledClassifier:
        """Put the saved adapters and head on an untouched base."""
        from peft import PeftModel

        with quiet_transformers():
            net.backbone = PeftModel.from_pretrained(net.backbone, folder)
        load_head(net, folder)
        return net
