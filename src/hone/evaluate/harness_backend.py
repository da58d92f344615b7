"""lm-evaluation-harness's tasks for models that are asked in texts: behind a server, or in vLLM."""

from collections.abc import Sequence
from typing import Any

from lm_eval.api.model import LM

from hone.core.console import progress
from hone.core.errors import Usage
from hone.evaluate.harness_requests import dealt, in_groups, moved_spaces
from hone.model import Backend

__all__ = ["BackendLM"]


class BackendLM(LM):  # type: ignore[misc]
    """A backend behind the harness's interface; it is asked for the same texts as a model that runs here."""

    def __init__(self, backend: Backend, *, longest: int | None = None) -> None:
        """`longest`: tokens of an answer; None for what the tasks say."""
        super().__init__()
        self.answering, self.longest = backend, longest

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Log-likelihood of each continuation and whether it is what greedy decoding writes.

        Raises:
            Usage: the server tells none, or a text has nothing before it.
        """
        pairs = [moved_spaces(*request.args) for request in requests]
        with progress("Scoring", len(pairs)) as bar:
            found = self.answering.score([before for before, _ in pairs], [after for _, after in pairs], bar=bar)
        return [(one.log_likelihood, one.is_greedy) for one in found]

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """Raises Usage: servers tell no likelihood of a text that has nothing before it."""
        raise Usage(
            f"{self.answering.name} is asked for what follows a text, and a task here asks how likely whole texts are. Leave that task out, "
            "or run the model here."
        )

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """A text per request, ended before its stop texts."""
        answers = [""] * len(requests)
        for texts, sampling in in_groups(requests, longest=self.longest):
            with progress("Writing", len(texts)) as bar:
                found = self.answering.generate(list(texts), sampling, bar=bar)
            for index, answer in dealt(texts, found):
                answers[index] = answer.text
        return answers
