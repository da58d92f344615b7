"""What a model reads when it answers from passages: the one place where that text is written.

Serves `answer`, and every comparison that puts passages before a question, so that both ask in the same words.
"""

from collections.abc import Sequence

from hone.retrieve.records import Passage

__all__ = ["numbered", "with_passages"]

_TASK = "Answer the question with the help of the passages. Answer briefly. If they do not say it, answer: not in the passages."


def with_passages(question: str, passages: Sequence[Passage]) -> str:
    """The prompt: the task, the passages as [1], [2] and so on with their titles, the question. Without passages, the question alone."""
    if not passages:
        return question
    return "\n\n".join([_TASK, numbered(passages), f"Question: {question}\nAnswer:"])


def numbered(passages: Sequence[Passage]) -> str:
    """Passages as they stand before a question: [1], [2] and so on with their titles, a blank line between them."""
    return "\n\n".join(
        f"[{number}] {passage.title}\n{passage.text}" if passage.title else f"[{number}] {passage.text}"
        for number, passage in enumerate(passages, 1)
    )
