"""The first sentences of the text, as they stand: the baseline that every summary has to beat, and that costs nothing."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from hone.core.console import Bar
from hone.core.record import Record
from hone.core.store import write_atomic
from hone.measure import first_sentences
from hone.strategy.bench import Bench
from hone.strategy.contracts import Fitted, Settings
from hone.strategy.text.bench import TextBench
from hone.strategy.text.prompting import UntrainedText
from hone.task import Example

__all__ = ["LEAD_FILE", "Lead", "LeadPredictor", "load_lead"]

LEAD_FILE = "lead.json"


class LeadRecord(Record):
    """`lead.json`."""

    sentences: int


class LeadPredictor:
    """Copies."""

    labels: tuple[str, ...] = ()

    def __init__(self, sentences: int) -> None:
        self._sentences = sentences

    def answer(self, examples: Sequence[Example]) -> tuple[str, ...]:
        """The first sentences of each text."""
        return tuple(first_sentences(example.text, self._sentences) for example in examples)

    def computed_afresh(self) -> AbstractContextManager[None]:
        """Nothing is kept."""
        return nullcontext()

    def save(self, folder: Path) -> None:
        """How many sentences."""
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / LEAD_FILE, LeadRecord(sentences=self._sentences).to_json())


class Lead(UntrainedText):
    """First sentences."""

    name = "first_sentences"
    title = "first sentences"
    reads_model = False

    def suits(self, bench: TextBench) -> str | None:
        """Copying answers only where a text is asked for."""
        return None if bench.kind == "text-generation" else "answers are no texts of their own"

    def candidates(self, bench: Bench) -> list[Settings]:
        """One to three sentences."""
        return [{"sentences": count} for count in (3, 2, 1)]

    def asked(self, bench: TextBench) -> float:
        """No model is asked."""
        return 0.0

    def fit(self, bench: Bench, settings: Settings, *, share: float = 1.0, bar: Bar | None = None) -> Fitted:
        """Copy."""
        predictor = LeadPredictor(int(settings["sentences"]))
        answers = predictor.answer(bench.validation)
        return Fitted(predictor, settings, answers, bench.score(answers), 0)


def load_lead(folder: Path) -> LeadPredictor:
    """Read a saved one back."""
    return LeadPredictor(LeadRecord.model_validate_json((folder / LEAD_FILE).read_text(encoding="utf-8")).sentences)
