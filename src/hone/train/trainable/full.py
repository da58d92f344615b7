"""Full fine-tuning: every parameter moves. Saved as a whole model, which plain transformers loads."""

from pathlib import Path

from hone.model import HeadedNetwork, Network, PooledClassifier, load_head, save_head, write_pooling

__all__ = ["Full"]


class Full:
    """All parameters are trained."""

    name = "full"

    def prepare(self, net: Network) -> Network:
        """Everything moves as it is loaded; nothing to do."""
        return net

    def save(self, net: Network, folder: Path) -> None:
        """`config.json` and `model.safetensors` as transformers writes them; for a classifier also its head and how to pool."""
        net.base.save_pretrained(folder)
        if isinstance(net, HeadedNetwork):
            save_head(net, folder)
        if isinstance(net, PooledClassifier):
            write_pooling(folder, net.pooling, width=net.classifier.in_features)

    def load(self, net: Network, folder: Path) -> Network:
        """The network was loaded from the folder itself, which holds a whole model; a head is added."""
        if isinstance(net, HeadedNetwork):
            load_head(net, folder)
        return net
