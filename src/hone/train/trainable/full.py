"""Full fine-tuning: every parameter moves. Saved as a whole model, whose backbone plain transformers loads."""

from pathlib import Path

from hone.model import PooledClassifier, load_head, save_head, write_pooling

__all__ = ["Full"]


class Full:
    """All parameters are trained."""

    name = "full"

    def prepare(self, net: PooledClassifier) -> PooledClassifier:
        """Everything moves as it is loaded; nothing to do."""
        return net

    def save(self, net: PooledClassifier, folder: Path) -> None:
        """`config.json` and `model.safetensors` as transformers writes them, how to pool, and the head."""
        net.backbone.save_pretrained(folder)  # type: ignore[operator]
        write_pooling(folder, net.pooling, width=net.classifier.in_features)
        save_head(net, folder)

    def load(self, net: PooledClassifier, folder: Path) -> PooledClassifier:
        """The network was loaded from the folder itself, which holds a whole model; the head is added."""
        load_head(net, folder)
        return net
