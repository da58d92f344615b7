"""From a sentence vector to class probabilities: likeness to prototypes, a vote of neighbours, a linear head. To a number, or to how
likely each of several labels is: the mean of neighbours, a linear map.

Pure arithmetic on arrays, so each is saved as one safetensors file and costs microseconds a row.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LinearHead",
    "LinearMap",
    "NeighbourMeans",
    "Neighbours",
    "Prototypes",
    "Scorer",
    "load_scorer",
    "save_scorer",
    "softmax",
]

Floats = NDArray[np.float64]
FILE = "scorer.safetensors"


class Scorer(Protocol):
    """Vectors [n, D] to answers."""

    def probabilities(self, vectors: NDArray[np.floating[Any]]) -> Floats:
        """Of classes [n, C], rows sum to 1; of labels that may stand together each by itself; or numbers, [n]."""
        ...


def softmax(logits: Floats) -> Floats:
    """Softmax over the last axis, safe for large numbers."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), dtype=np.float64)


@dataclass(frozen=True)
class Prototypes:
    """Cosine likeness to one vector per class, times a scale, minus what a content-free text would get."""

    vectors: Floats
    """[C, D], each of length 1."""
    scale: float
    content_free: Floats
    """[C]: log-probabilities for content-free inputs; zeros where not calibrated."""

    def probabilities(self, vectors: NDArray[np.floating[Any]]) -> Floats:
        """Softmax of scaled cosines; dividing by the content-free probabilities is contextual calibration."""
        return softmax(self.scale * (vectors.astype(np.float64) @ self.vectors.T) - self.content_free)


@dataclass(frozen=True)
class Neighbours:
    """The `k` most alike training rows vote, each with weight exp(cosine / temperature)."""

    vectors: NDArray[np.float32]
    """[n, D], training rows."""
    targets: NDArray[np.int64]
    """[n]."""
    classes: int
    k: int
    temperature: float

    def probabilities(self, vectors: NDArray[np.floating[Any]]) -> Floats:
        """Votes as shares; a hundredth of a vote is spread evenly so that no class gets exactly 0."""
        answers = [self._block(vectors[at : at + 1024]) for at in range(0, len(vectors), 1024)]
        return np.concatenate(answers) if answers else np.zeros((0, self.classes))

    def _block(self, vectors: NDArray[np.floating[Any]]) -> Floats:
        nearest, weights = _nearest(vectors, self.vectors, k=self.k, temperature=self.temperature)
        votes = np.full((len(vectors), self.classes), 0.01 / self.classes)
        np.add.at(votes, (np.arange(len(vectors))[:, None], self.targets[nearest]), 0.99 * weights)
        return votes


@dataclass(frozen=True)
class LinearHead:
    """Multinomial logistic regression."""

    weight: Floats
    """[C, D]."""
    bias: Floats
    """[C]."""

    def probabilities(self, vectors: NDArray[np.floating[Any]]) -> Floats:
        """Softmax of a linear map."""
        return softmax(vectors.astype(np.float64) @ self.weight.T + self.bias)


@dataclass(frozen=True)
class NeighbourMeans:
    """The mean of what the `k` most alike training rows were answered, weighed as in `Neighbours`."""

    vectors: NDArray[np.float32]
    """[n, D], training rows."""
    values: Floats
    """Numbers [n], or whether each label is there [n, C]."""
    k: int
    temperature: float

    def probabilities(self, vectors: NDArray[np.floating[Any]]) -> Floats:
        """[m], or [m, C]."""
        means = [np.zeros((0, *self.values.shape[1:]))]
        for at in range(0, len(vectors), 1024):
            nearest, weights = _nearest(vectors[at : at + 1024], self.vectors, k=self.k, temperature=self.temperature)
            means.append(np.einsum("bk,bk...->b...", weights, self.values[nearest]))
        return np.concatenate(means)


@dataclass(frozen=True)
class LinearMap:
    """A linear map to numbers, or to how likely each label is, by itself."""

    weight: Floats
    """[D] of numbers, [C, D] of labels."""
    bias: Floats
    """One number, or [C]."""

    def probabilities(self, vectors: NDArray[np.floating[Any]]) -> Floats:
        """[n], or [n, C]."""
        found = vectors.astype(np.float64) @ self.weight.T + self.bias
        return np.asarray(found if self.weight.ndim == 1 else 1 / (1 + np.exp(-np.clip(found, -500, 500))))


def _nearest(
    asked: NDArray[np.floating[Any]], known: NDArray[np.float32], *, k: int, temperature: float
) -> tuple[NDArray[np.int64], Floats]:
    """Indices of the k most alike known vectors, and their weights, which sum to 1, [B, k] each."""
    likeness = (asked.astype(np.float32) @ known.T).astype(np.float64)  # [B, n]
    k = min(k, likeness.shape[1])
    nearest = np.argpartition(-likeness, k - 1, axis=1)[:, :k]
    return nearest, softmax(np.take_along_axis(likeness, nearest, axis=1) / temperature)


_KINDS: dict[str, type[Any]] = {
    "prototypes": Prototypes,
    "neighbours": Neighbours,
    "linear": LinearHead,
    "neighbour_means": NeighbourMeans,
    "linear_map": LinearMap,
}


def save_scorer(scorer: Scorer, folder: Path) -> None:
    """Write a scorer's arrays and numbers to one safetensors file; its kind stands in the metadata."""
    from safetensors.numpy import save_file

    kind = next(name for name, type_ in _KINDS.items() if isinstance(scorer, type_))
    arrays = {name: np.asarray(value, order="C") for name, value in vars(scorer).items()}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(arrays, folder / FILE, metadata={"kind": kind})


def load_scorer(folder: Path) -> Scorer:
    """Read a scorer back."""
    from safetensors import safe_open

    with safe_open(folder / FILE, framework="numpy") as file:
        kind = file.metadata()["kind"]
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    return _KINDS[kind](**{name: value if value.ndim else value.item() for name, value in arrays.items()})  # type: ignore[no-any-return]
