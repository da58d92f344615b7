"""What a run of public benchmarks was asked to do, and what it found: `evaluation.json`."""

from typing import Literal

from pydantic import Field

from hone.core.configuration import Form, parse_names
from hone.core.record import Record
from hone.model import Api, Precision, Spent

__all__ = ["EVAL", "BenchmarkScore", "EvalSettings", "Evaluation", "GroupScore"]


class EvalSettings(Record):
    """Settings of `hone eval`."""

    model: str
    """Starter, folder, Hub id of a decoder or an encoder-decoder, the folder of a `hone tune` run, openai:NAME or vllm:NAME."""
    tasks: tuple[str, ...] = Field(min_length=1)
    """Names of lm-evaluation-harness's tasks; with `data`, of benchmarks or files there."""
    data: str | None = None
    """Folder of benchmark files; none means that the harness fetches them."""
    shots: int | None = Field(default=None, ge=0)
    """Solved examples before each question; none means what each task says."""
    limit: int | None = Field(default=None, ge=1)
    """Questions per task, the first ones; none means all."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Tokens of a written answer, thoughts before it among them; none means what each task says."""
    chat: bool = False
    """Whether questions are put in the model's chat template."""
    precision: Precision = "auto"
    """Arithmetic of the forward pass."""
    base_url: str | None = None
    """Address of an OpenAI-compatible server, for a model named openai:NAME; the key comes from OPENAI_API_KEY."""
    api: Api = "chat"
    """How that server is asked."""
    price: str | None = None
    """IN,OUT: US dollars per million tokens read and written by that server."""
    out: str | None = None
    """Run folder; none means runs/ and a name made of the model's."""


EVAL = Form(
    EvalSettings,
    "hone eval",
    aliases={
        "num_fewshot": "shots",
        "max_gen_toks": "max_tokens",
        "model_name_or_path": "model",
        "base_model": "model",
        "output_dir": "out",
    },
    readers={"tasks": parse_names},
)


class BenchmarkScore(Record):
    """One metric of one task."""

    task: str
    metric: str
    value: float
    low: float | None
    high: float | None
    """95% interval over the questions; None where it was not measured."""
    n: int
    shots: int
    chance: float | None
    """Score of guessing; None where that has no meaning."""
    uninformative: Literal["floor", "ceiling"] | None
    """`floor`: not told from guessing. `ceiling`: 99% or more may be right. Neither tells models apart."""
    questions: str | None = None
    """Digest of the questions and of the examples in their files; None in records of before 2026-12, which keep none."""
    cut: int = 0
    """Questions whose prompts lost their beginning, since the model reads less."""


class GroupScore(Record):
    """The average of a benchmark of several tasks."""

    name: str
    value: float
    low: float | None
    high: float | None
    tasks: tuple[str, ...]
    missing: tuple[str, ...]
    """Tasks of the official average that were not run: then it is none. Parts of one benchmark are named without it: law."""


class Evaluation(Record):
    """`evaluation.json` of a run folder."""

    schema_version: Literal[1] = 1
    hone_version: str
    command: str
    started: str
    seconds: float
    settings: EvalSettings
    model: str
    model_sha256: str | None
    """Of its weights; None of a model that does not lie here."""
    shares_prefixes: bool | None
    """Whether what questions share was read once; None where others decide."""
    spent: Spent | None = None
    """Tokens, requests and money, of a model behind a server."""
    scores: tuple[BenchmarkScore, ...]
    groups: tuple[GroupScore, ...]
    folder: str
    versions: dict[str, str]
