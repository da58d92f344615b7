"""What strategies that train no network have in common."""

from hone.strategy.bench import Bench
from hone.strategy.contracts import Pace, Settings

__all__ = ["Untrained"]


class Untrained:
    """Runs by default and takes no optimiser step."""

    moves_weights = False
    learns_from_rows = False
    reads_train_vectors = False
    by_default = True
    reads_model = True

    def rehearse(self, bench: Bench) -> Pace | None:
        """Nothing is trained."""
        return None

    def steps(self, bench: Bench, settings: Settings, *, share: float = 1.0) -> int:
        """Nothing is trained."""
        return 0
