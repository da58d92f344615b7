"""What is known of a published model. A field that nobody has made known is None or empty, and is shown as unknown; nothing is guessed."""

from typing import Literal, TypeAlias

from pydantic import Field

from hone.core.record import Record

__all__ = [
    "BYTES_STORED",
    "CatalogueEntry",
    "Disclosure",
    "Family",
    "Licence",
    "ModelShape",
    "Permission",
    "PublishedScore",
    "Stored",
    "TrainingData",
]

Family: TypeAlias = Literal["encoder", "decoder", "encoder-decoder"]
Permission: TypeAlias = Literal["yes", "conditions", "no"]
Stored: TypeAlias = Literal["fp32", "bf16", "fp16"]
Disclosure: TypeAlias = Literal["published", "named", "described", "undisclosed"]

BYTES_STORED: dict[Stored, int] = {"fp32": 4, "bf16": 2, "fp16": 2}


class Licence(Record):
    """What a licence permits, in short. The text at `url` decides."""

    id: str
    title: str
    url: str
    commercial: Permission
    redistribution: Permission
    attribution: bool
    """Whether the authors or the licence must be named."""
    conditions: tuple[str, ...] = ()
    use_restrictions: bool = False
    """Whether some uses are forbidden whoever you are."""
    acceptable_use: str | None = None
    """Address of the acceptable-use policy."""
    notes: tuple[str, ...] = ()


class ModelShape(Record):
    """The numbers of config.json that decide parameters and memory."""

    layers: int = Field(gt=0)
    """Of the encoder, where there are an encoder and a decoder."""
    hidden: int = Field(gt=0)
    feed_forward: int = Field(gt=0)
    """Inner width; of a gated layer, of each half."""
    heads: int = Field(gt=0)
    vocabulary: int = Field(gt=0)
    """Rows of the word table, padding rows included."""
    key_value_heads: int | None = None
    """None: as many as heads."""
    head_width: int | None = None
    """None: hidden / heads."""
    decoder_layers: int | None = None
    """Of an encoder-decoder whose two halves differ."""
    full_layers: int | None = None
    """Layers that see the whole context, where the others see a window; None: all."""
    embedding: int | None = None
    """Width of the word table, where it is not the hidden size."""
    experts: int = 1
    experts_used: int = 1

    @property
    def key_value_width(self) -> int:
        """Numbers that one layer keeps as the key of one token."""
        width = self.head_width or self.hidden // self.heads
        return (self.key_value_heads or self.heads) * width


class TrainingData(Record):
    """What the authors say they trained on."""

    disclosure: Disclosure
    """published: the data can be downloaded; named: each source is named; described: kinds of text are told; undisclosed."""
    data: str | None = None
    tokens: int | None = None
    """Tokens read in pretraining."""


class PublishedScore(Record):
    """One number that somebody published, as they measured it. Two with different settings cannot be compared."""

    benchmark: str
    value: float
    """Percent, or the benchmark's own unit."""
    setting: str
    source: str
    """Address of the paper or card that says it."""


class CatalogueEntry(Record):
    """One model on the Hub."""

    name: str
    """The Hub id."""
    line: str
    """The series it belongs to: 'BERT', 'Qwen2.5'."""
    family: Family
    architecture: str
    """The counting rule; transformers' model type, but for T5 with gated layers: 't5-gated'."""
    parameters: int = Field(gt=0)
    """Weights as loaded, tied ones once; of an encoder without an output head."""
    stated: int | None = None
    """Parameters as the authors state them."""
    shape: ModelShape
    context: int | None = None
    """Tokens that it reads at once."""
    context_note: str | None = None
    window: int | None = None
    """Tokens that a layer with a window sees."""
    tied: bool | None = None
    """Whether the output layer is the word table; None: as the architecture usually has it."""
    stored: Stored | None = None
    """Arithmetic of the published weights."""
    licence: Licence | None = None
    gated: bool | None = None
    """Whether the Hub asks you to accept terms before it gives the weights."""
    released: str | None = Field(default=None, pattern=r"^\d{4}-\d{2}$")
    """Year and month of the paper or of the weights, as the sources date them."""
    languages: tuple[str, ...] = ()
    """Those that the authors name, by ISO code, in order; empty: not named."""
    language_note: str | None = None
    training: TrainingData | None = None
    tuned_for: tuple[Literal["chat", "instructions", "retrieval", "summarization", "translation"], ...] = ()
    scores: tuple[PublishedScore, ...] = ()
    sources: tuple[str, ...] = Field(min_length=1)
    aliases: tuple[str, ...] = ()
    """Other names that hone takes for it: a starter's."""

    @property
    def bytes_on_disk(self) -> int | None:
        """Bytes of the published weights; None where their arithmetic is not known."""
        return None if self.stored is None else self.parameters * BYTES_STORED[self.stored]

    def score(self, benchmark: str) -> PublishedScore | None:
        """The published score on a benchmark, by its name in any case."""
        return next((one for one in self.scores if one.benchmark.lower() == benchmark.lower()), None)
