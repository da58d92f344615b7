"""Everything that a training run needs before its first step: rows, model, method, plan, folder."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hone.catalogue import ModelFolder, locate_model
from hone.core.claim import claim_folder, released_if_refused
from hone.core.console import note
from hone.core.errors import BadModel, Usage
from hone.core.store import digest_file, digest_text, read_back
from hone.measure import TEXT_METRICS, human_seconds
from hone.model import Network, TextReader, family, load_reader, read_config
from hone.task import names_mixture
from hone.train import (
    LogitObjective,
    Measured,
    Mixture,
    SingleTask,
    Trainable,
    TrainPlan,
    make_trainable,
    measure_loss,
    replay,
    rows_a_step,
    size_options,
    usual_rate,
    usual_tokens,
)
from hone.tune.choose import Chosen, choose, load_network
from hone.tune.finished import RECORD
from hone.tune.head_kinds import make_key
from hone.tune.heads import HeadKey
from hone.tune.metrics import head_metrics
from hone.tune.prepare import Divided, Rows, encode_rows, read_rows
from hone.tune.records import TuneRecord
from hone.tune.settings import TuneSettings
from hone.tune.tasks import PutTasks, open_tasks, put_tasks
from hone.tune.told import told_rows

__all__ = ["Ready", "make_ready", "require_divisible"]


@dataclass(frozen=True)
class Ready:
    """Everything that a run needs, before its first step."""

    settings: TuneSettings
    base: ModelFolder
    reader: TextReader
    chosen: Chosen
    objective: LogitObjective[Any]
    read: Divided | None
    """The rows before they were encoded; None of a mixture of tasks."""
    rows: Rows
    trainable: Trainable
    net: Network
    plan: TrainPlan
    mixture: Mixture
    out: Path
    tasks: PutTasks | None
    """Where the data is a mixture of tasks."""

    @property
    def draws(self) -> int:
        """Examples that the whole run shows."""
        return round(self.plan.steps * rows_a_step(self.mixture, self.plan.batch_rows))

    def measure(self) -> Measured | None:
        """On the validation rows, where any score was asked for."""
        return self.measure_on(self.rows.validation) if self.plan.evaluations else None

    def key(self, items: Sequence[Any]) -> HeadKey | None:
        """What is right for the validation or test rows; None where answers are written and not told by a head."""
        if self.read is None or not head_metrics(self.chosen.name, self.chosen.labels):
            return None
        return make_key(self.chosen, items, self.read.test if items is self.rows.test else self.read.validation)

    def measure_on(self, items: Sequence[Any]) -> Measured:
        """On encoded rows."""
        return measure_loss(self.net, self.objective, items, self.reader)


def make_ready(settings: TuneSettings, *, until: ExitStack | None) -> Ready | TuneRecord:
    """Read the rows, load the model, put the method on it, claim the folder; of a run that the same command has finished, its record.

    Args:
        until: see `claim_folder`.
    Raises:
        HoneError: rows, model and method do not fit one another, or the folder holds something else.
    """
    opened = open_tasks(settings) if names_mixture(settings.data) else None
    read = None if opened else read_rows(settings)
    folder = locate_model(settings.model)
    reader = load_reader(folder, precision=settings.precision)
    trainable = _trainable(settings)
    reader.context_length -= settings.tokens if settings.method == "prompt" else 0
    tasks = None
    if opened:
        material = opened.material
        chosen = choose(settings.model_copy(update={"template": "{prompt}"}), material, folder, reader)
        tasks = put_tasks(settings, opened, family(read_config(folder)), reader, chosen.objective)
        rows = tasks.rows
    else:
        assert read is not None
        material = read.material
        chosen = choose(settings, material, folder, reader)
        rows = encode_rows(settings, read, chosen.objective)
    assert isinstance(chosen.objective, LogitObjective)
    out = claim_folder(settings.out, settings.data, key=_key(settings, rows, folder), until=until)
    if (out / RECORD).exists():
        return read_back(out / RECORD, TuneRecord, verb="train", told=lambda done: human_seconds(done.seconds))
    with released_if_refused(out):
        loaded = load_network(chosen, folder, reader, settings)
        _require_words(loaded, reader, [*rows.train, *rows.validation, *rows.test], folder.name)
        net = trainable.prepare(loaded)
        if reader.precision == "bf16":
            net.narrow_frozen()
        mixture = tasks.mixture if tasks else _mixture(rows, settings)
        own = len(rows.train) - rows.replayed
        draws = settings.epochs * (mixture.epoch if tasks else own / (1 - settings.replay_rate if rows.replayed else 1))
        plan = _plan(settings, draws / rows_a_step(mixture, settings.batch_rows), reader, net)
        ready = Ready(settings, folder, reader, chosen, chosen.objective, read, rows, trainable, net, plan, mixture, out, tasks)
        note(told_rows(settings, material.because, rows, mixture.effective_epochs(ready.draws), tasks))
        return ready


def _require_words(net: Network, reader: TextReader, items: Sequence[Any], name: str) -> None:
    """That the model can read all words of the rows.

    Raises:
        BadModel: some were added to its tokenizer alone.
    """
    words, known = len(reader.tokenizer), len(net.base.get_input_embeddings().weight)
    if words <= known:
        return
    read = {token for item in items for token in (item.ids if hasattr(item, "ids") else [*item.source, *item.target])}
    beyond = [repr(reader.tokenizer.convert_ids_to_tokens(token)) for token in sorted(read) if token >= known]
    if beyond:
        raise BadModel(
            f"The tokenizer of '{name}' has {words:,} words and the model's embedding {known:,}: the rows hold {', '.join(beyond[:5])}, which it "
            "cannot read. Give the added words rows (resize_token_embeddings in transformers) and save the model again."
        )


def _trainable(settings: TuneSettings) -> Trainable:
    """The method with the options that are its own."""
    options = size_options(settings.method, {"layers": settings.layers, "tokens": settings.tokens})
    if settings.method == "lora":
        options = {
            "rank": settings.rank,
            "alpha": settings.alpha,
            "dropout": settings.dropout,
            "rank_stabilised": settings.rslora,
            "dora": settings.dora,
            "layers": settings.lora_layers,
        }
    if settings.load != "plain" and settings.method not in ("lora", "ia3", "adapter", "prompt", "prefix"):
        raise Usage(
            f"--load {settings.load} holds the base in few bits, which '{settings.method}' would have to move. Choose lora."
        )
    return make_trainable(settings.method, **options)


def _key(settings: TuneSettings, rows: Rows, folder: ModelFolder) -> str:
    asked = settings.model_dump_json(exclude={"out", "track"})
    others = [Path(name) for name in (settings.replay, *settings.retain) if name]
    return digest_text(asked, rows.digest, folder.sha256, *(digest_file(file) for file in others if file.is_file()))


def _plan(settings: TuneSettings, of_epochs: float, reader: TextReader, net: Network) -> TrainPlan:
    steps = settings.steps or max(1, round(of_epochs))
    size = sum(parameter.numel() for parameter in net.parameters())
    rate = settings.learning_rate or usual_rate(settings.method, parameters=size, is_headed=hasattr(net, "classifier"))
    return TrainPlan(
        learning_rate=rate,
        head_learning_rate=max(rate, 2e-3) if settings.learning_rate is None else rate,
        steps=steps,
        batch_rows=settings.batch_rows,
        forward_tokens=settings.forward_tokens or usual_tokens(size),
        schedule=settings.schedule,
        warmup=settings.warmup,
        lora_plus=settings.lora_plus,
        weight_decay=settings.weight_decay,
        clip=settings.clip,
        evaluations=min(settings.evaluations, steps),
        patience=settings.patience,
        gradient_checkpointing=settings.gradient_checkpointing,
        compile=settings.compile,
        keep_bytes=int(settings.keep_gib * 2**30),
        precision=reader.precision,
        seed=settings.seed,
    )


def _mixture(rows: Rows, settings: TuneSettings) -> Mixture:
    own = len(rows.train) - rows.replayed
    return replay(own, rows.replayed, rate=settings.replay_rate) if rows.replayed else SingleTask(own)


def require_divisible(settings: TuneSettings) -> None:
    """That the network of such a run can be divided over processes.

    Raises:
        Usage: something in it needs the whole network, or the plain one; the message says what to leave out.
    """
    reasons = {
        f"--method {settings.method}": (settings.method in ("prompt", "prefix"), "virtual tokens belong to no block"),
        f"--hold {settings.hold}": (settings.hold != "none", "it keeps a second copy of what moves"),
        "--remember self": (settings.remember == "self", "the whole model writes the samples and is held to them"),
        f"--load {settings.load}": (settings.load != "plain", "weights in few bits are not divided"),
        "--compile": (settings.compile, "compiled blocks are not divided"),
        f"--metric {settings.metric}": (settings.metric in TEXT_METRICS, "answers in words are of the whole model"),
    }
    for name, (is_asked, why) in reasons.items():
        if is_asked:
            raise Usage(
                f"{name} does not go with a network divided over processes (--shard): {why}. Leave one out; the same processes without "
                "--shard train data-parallel."
            )
