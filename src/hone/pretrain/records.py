"""What a pretraining expected and measured: `hone.json` of its folder."""

from hone.core.record import Record
from hone.pretrain.settings import PretrainObjective, PretrainSettings
from hone.train import TrainRecord

__all__ = ["PretrainRecord", "Sample"]


class Sample(Record):
    """What the model wrote at a step."""

    step: int
    read: str
    """What stood before; of span corruption, the text with its gaps."""
    written: str


class PretrainRecord(Record):
    """One pretraining."""

    settings: PretrainSettings
    objective: PretrainObjective
    base: str | None
    """Model that it went on with, or None."""
    base_sha256: str | None
    parameters: int
    vocabulary: int
    sources: tuple[str, ...]
    texts: int
    """To train on."""
    validation_texts: int
    duplicates: int
    """Texts left out because validation holds them too."""
    unread: int = 0
    """Files and rows that could not be read; 0 also in records from before they were counted."""
    unread_examples: tuple[str, ...] = ()
    """The first of them, each with its reason."""
    corpus_bytes: int
    corpus_tokens: int
    """In one pass, short ends of texts left out."""
    expected_seconds: float
    expected_bytes: int
    training: TrainRecord
    seconds: float
    peak_bytes: int | None
    start_loss: float
    loss: float
    """On validation pieces, mean over trained terms, in nats."""
    accuracy: float | None
    """Share of trained terms that the likeliest token hits."""
    bits_per_byte: float | None
    """Of a decoder: the validation loss per byte of text, which compares across tokenizers."""
    samples: tuple[Sample, ...]
    data_sha256: str
    processor: str
    versions: dict[str, str]
