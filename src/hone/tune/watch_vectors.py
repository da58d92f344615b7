"""An encoder watched over one run: its sentence vectors on retained tasks, before the first step and after the last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hone.core.errors import Usage
from hone.evaluate import (
    VectorAnswers,
    VectorForgetting,
    VectorTask,
    answer_vectors,
    find_tasks,
    find_vector_tasks,
    measure_vector_forgetting,
)
from hone.model import HeadedNetwork, TextReader, Vectors
from hone.tune.settings import TuneSettings

__all__ = ["VectorWatch", "begin_vector_watch"]


@dataclass(frozen=True)
class VectorWatch:
    """What the base's vectors said."""

    tasks: Sequence[VectorTask]
    before: Mapping[str, VectorAnswers]
    seed: int

    def end(self, net: HeadedNetwork, reader: TextReader) -> VectorForgetting:
        """The same again, after the last step."""
        return measure_vector_forgetting(self.tasks, self.before, _answer(self.tasks, net, reader), seed=self.seed)


def begin_vector_watch(net: HeadedNetwork, reader: TextReader, settings: TuneSettings) -> VectorWatch:
    """Take the answers down while the encoder is the base.

    Raises:
        HoneError: a retained task is not known, or none of them is about sentence vectors.
    """
    tasks, others = find_vector_tasks(settings.retain)
    find_tasks(others)  # a name that nobody knows is told
    if not tasks:
        raise Usage(
            f"--retain {','.join(settings.retain)} names tasks of models that write texts, and {settings.model} is an encoder. Name 'bundled', "
            "'similar', 'find', or a file with sentence1, sentence2 and score or with query and passage."
        )
    return VectorWatch(tasks, _answer(tasks, net, reader), settings.seed)


def _answer(tasks: Sequence[VectorTask], net: HeadedNetwork, reader: TextReader) -> dict[str, VectorAnswers]:
    def embed(texts: Sequence[str]) -> Vectors:
        return net.embed(reader.tokenize(texts), reader)

    return answer_vectors(tasks, embed)
