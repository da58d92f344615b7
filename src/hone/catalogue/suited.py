"""Which families suit a task, the best first, and why: a rule to begin a search with. What holds on your rows `hone compare` measures."""

from dataclasses import dataclass

from hone.catalogue.records import CatalogueEntry, Family
from hone.core.errors import Usage, did_you_mean

__all__ = ["TASKS", "Suited", "find_task", "misfit"]


@dataclass(frozen=True)
class Suited:
    """The families for one task."""

    families: tuple[Family, ...]
    because: str
    others: str
    """Why the rest is left out."""
    tuning: tuple[str, ...] = ()
    """What a model may have been tuned for already that serves the task: listed first."""
    needs_tuning: bool = False
    """Whether only such models serve it as they are."""


_READ = Suited(
    ("encoder", "decoder", "encoder-decoder"),
    "an encoder reads each word with all others and is the smallest for its accuracy; the others answer with the label's words",
    "",
)
_NO_WRITING = "an encoder writes no text"
TASKS: dict[str, Suited] = {
    "classification": _READ,
    "tagging": Suited(
        ("encoder",),
        "a label for each word needs what stands on both sides of it",
        "it reads only what stands before a word, or gives no vector for each word that hone can train a label on",
    ),
    "multiple-choice": Suited(
        ("decoder", "encoder-decoder", "encoder"),
        "models that write score each choice as it stands, without training; an encoder can after training",
        "",
    ),
    "retrieval": Suited(
        ("encoder",),
        "encoders trained on pairs of texts give one vector per text that can be compared",
        "it was not trained to give texts of like meaning like vectors",
        tuning=("retrieval",),
        needs_tuning=True,
    ),
    "summarization": Suited(
        ("encoder-decoder", "decoder"),
        "an encoder-decoder reads the whole source both ways before it writes; decoders do it with longer contexts",
        _NO_WRITING,
        tuning=("summarization", "instructions", "chat"),
    ),
    "translation": Suited(
        ("encoder-decoder", "decoder"),
        "an encoder-decoder reads the whole source both ways before it writes",
        _NO_WRITING,
        tuning=("translation", "instructions", "chat"),
    ),
    "question-answering": Suited(
        ("decoder", "encoder-decoder", "encoder"),
        "models that write answer in words; an encoder marks the answer in a given text",
        "",
        tuning=("instructions", "chat"),
    ),
    "instruction": Suited(
        ("decoder", "encoder-decoder"), "instructions are answered in words", _NO_WRITING, tuning=("chat", "instructions")
    ),
    "chat": Suited(
        ("decoder",),
        "a dialogue is one text that goes on; models tuned for chat know its roles",
        "it has no turns of a dialogue",
        tuning=("chat",),
    ),
    "text-to-text": Suited(
        ("encoder-decoder", "decoder"), "a text is read whole and another is written", _NO_WRITING, tuning=("instructions",)
    ),
    "text-generation": Suited(("decoder",), "a decoder continues a text", "it does not continue a text"),
}


def find_task(name: str) -> str:
    """The task's own name: 'summarization' for 'Summarisation'.

    Raises:
        Usage: it is not known.
    """
    asked = name.strip().lower().replace("_", "-").replace("sation", "zation")
    if asked not in TASKS:
        raise Usage(f"The task '{name}' is not known. {did_you_mean(asked, TASKS)}")
    return asked


def misfit(entry: CatalogueEntry, task: str) -> str | None:
    """Why a model does not suit a task; None where it does."""
    rule = TASKS[task]
    if entry.family not in rule.families:
        return rule.others
    if rule.needs_tuning and not set(entry.tuned_for) & set(rule.tuning):
        return rule.others
    return None
