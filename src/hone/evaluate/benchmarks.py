"""`hone eval`: public benchmarks for a model or for what `hone tune` made, with intervals, official averages and a leaderboard.

Tasks come from lm-evaluation-harness by name, or from files on disk.
"""

import datetime
import json
import shlex
import shutil
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hone.catalogue import ModelFolder, locate_model
from hone.core.claim import claim_folder, released_if_refused
from hone.core.console import note
from hone.core.errors import BadModel, Usage, as_option, need
from hone.core.store import digest_file, digest_text, read_back, read_errors, write_atomic, write_lines
from hone.evaluate.benchmark_records import BenchmarkScore, EvalSettings, Evaluation
from hone.evaluate.benchmark_scores import group_scores, questions_digest, task_scores
from hone.evaluate.cut_prompts import CutPrompts
from hone.evaluate.harness_examples import bbh_configuration
from hone.evaluate.local_tasks import LocalTask, check_shots, find_local_tasks
from hone.measure import human_seconds
from hone.model import (
    Backend,
    Generator,
    Precision,
    Price,
    Scorer,
    TextModel,
    TextReader,
    family,
    for_a_server_only,
    is_behind_server,
    is_elsewhere,
    load_backend,
    load_reader,
    load_text_model,
    read_config,
    server_settings,
)

if TYPE_CHECKING:
    from lm_eval.api.model import LM

__all__ = ["load_answering", "read_evaluations", "run_benchmarks"]

_RECORD = "evaluation.json"
_ALIASES = {"super_glue": "super-glue-lm-eval-v1"}  # the harness's tags for what people call it


def run_benchmarks(settings: EvalSettings) -> Evaluation:
    """Ask all questions of some benchmarks and write the run folder.

    Returns:
        The record; that of an evaluation that the same command has finished before is read back.
    Raises:
        HoneError: the model cannot answer in words, a task is not known, files are missing, or there are too few examples to show.
    """
    with ExitStack() as held:
        return _run(settings, held)


def _run(settings: EvalSettings, held: ExitStack) -> Evaluation:
    started, clock = datetime.datetime.now(datetime.UTC), time.perf_counter()
    tasks: Sequence[str | LocalTask] = [_ALIASES.get(name, name) for name in settings.tasks]
    if settings.data is not None:
        tasks = local = find_local_tasks(Path(settings.data), settings.tasks, own=bbh_configuration)
        check_shots(local, settings.shots)
    asked = json.dumps(
        [[task.tests, task.shots, *([task.own] if task.own else [])] for task in tasks if isinstance(task, LocalTask)],
        default=str,
    )
    source = None if is_elsewhere(settings.model) else _find(settings.model)
    (_check_elsewhere if source is None else _check_here)(settings)
    out = _claim(settings, source, asked, held)
    if (out / _RECORD).exists():
        return _read_back(settings, out)
    with released_if_refused(out):
        need("lm_eval", extra="harness")
        from hone.evaluate.harness import run_harness

        model = _from_elsewhere(settings, out) if source is None else _from_here(settings, source)
        chat = settings.chat and model.backend is None  # a backend writes its chat template itself
        found = run_harness(model.answering, tasks, shots=settings.shots, limit=settings.limit, chat=chat)
    scores = _scores(
        found, [task for task in tasks if isinstance(task, LocalTask)], getattr(model.answering, "cut", CutPrompts())
    )
    done = Evaluation(
        hone_version=version("hone-lm"),
        command=_typed(settings),
        started=started.isoformat(timespec="seconds"),
        seconds=time.perf_counter() - clock,
        settings=settings,
        model=settings.model,
        model_sha256=model.sha256,
        shares_prefixes=model.shares,
        spent=model.backend.spent() if model.backend else None,
        scores=scores,
        groups=tuple(group_scores(scores)),
        folder=str(out),
        versions={name: version(name) for name in ("torch", "transformers", "lm_eval")},
    )
    write_lines(
        out / "answers.jsonl", (_answer(name, sample) for name, samples in found["samples"].items() for sample in samples)
    )
    write_atomic(out / _RECORD, done.to_json())  # last: it alone says that all was asked
    shutil.rmtree(out / "work", ignore_errors=True)
    return done


def _read_back(settings: EvalSettings, out: Path) -> Evaluation:
    """What was finished before, with money at the price that is named now: a price decides no answer."""
    done = read_back(out / _RECORD, Evaluation, verb="ask", told=lambda done: human_seconds(done.seconds))
    if done.settings.price == settings.price or done.spent is None:
        return done
    spent = done.spent.at(Price.parse(settings.price) if settings.price else None)
    asked = done.settings.model_copy(update={"price": settings.price})
    done = done.model_copy(update={"settings": asked, "command": _typed(asked), "spent": spent})
    write_atomic(out / _RECORD, done.to_json())
    return done


def _scores(found: dict[str, Any], local: Sequence[LocalTask], cut: CutPrompts) -> tuple[BenchmarkScore, ...]:
    chances, examples = {task.name: task.chance for task in local}, {task.name: task.shots for task in local}
    made: list[BenchmarkScore] = []
    for name, samples in found["samples"].items():
        shown = examples.get(name, [])[: int(found["n-shot"].get(name) or 0)]
        told = {"questions": questions_digest(samples, shown), "cut": cut.of(name)}
        made += [score.model_copy(update=told) for score in task_scores(name, found, chances)]
    return tuple(made)


def _typed(settings: EvalSettings) -> str:
    """The command that asks the same again."""
    words = ["hone", "eval", settings.model]
    for name, value in settings.model_dump(exclude={"model"}, exclude_defaults=True).items():
        words += [as_option(name)] if value is True else [as_option(name), ",".join(value) if name == "tasks" else str(value)]
    return shlex.join(words)


@dataclass
class _Model:
    """What answers."""

    answering: "LM"
    sha256: str | None = None
    shares: bool | None = None
    backend: Backend | None = None


@dataclass(frozen=True)
class _Source:
    """Where a model that runs here lies."""

    folder: ModelFolder
    """Of the network that is loaded."""
    trained: "_Trained | None"
    """What the named folder adds to it."""


def _check_here(settings: EvalSettings) -> None:
    if settings.base_url is not None:
        raise Usage(f"--base-url says nothing about '{settings.model}'. For a server, name the model openai:NAME.")
    if settings.price is not None or settings.api != "chat":
        raise for_a_server_only(settings.model)


def _check_elsewhere(settings: EvalSettings) -> None:
    is_server = is_behind_server(settings.model)
    if settings.chat and is_server:
        raise Usage(
            "A server's chat API always writes questions in the model's chat template, its completions API never. Leave out --chat."
        )
    if settings.precision != "auto" and is_server:
        raise Usage("--precision is the arithmetic of a model that runs here; a server chooses its own. Leave out --precision.")


def _from_here(settings: EvalSettings, source: _Source) -> _Model:
    from hone.evaluate.harness import EngineLM, usual_length

    net, reader = _load(settings.model, source, precision=settings.precision)
    if settings.chat and not reader.tokenizer.chat_template:
        raise Usage(f"--chat asks for the model's chat template, and '{settings.model}' has none. Leave out --chat.")
    scorer = Scorer(net, precision=reader.precision)
    generator = Generator(net, reader.tokenizer, precision=reader.precision, follows="all")
    length = usual_length(net.base.config, reader.tokenizer) - net.virtual
    answering = EngineLM(scorer, generator, reader.tokenizer, length=length, longest=settings.max_tokens)
    return _Model(answering, source.folder.sha256, scorer.shares)


def _from_elsewhere(settings: EvalSettings, out: Path) -> _Model:
    """A model behind a server, or in vLLM. Answers of a server are kept, so that none is paid for twice after an interruption."""
    from hone.evaluate.harness_backend import BackendLM

    backend = load_backend(
        settings.model,
        precision=settings.precision,
        base_url=settings.base_url,
        settings=server_settings(settings.model, api=settings.api, price=settings.price, cache=out / "work"),
        template="{prompt}",
        chat=None if is_behind_server(settings.model) else settings.chat,
    )
    return _Model(BackendLM(backend, longest=settings.max_tokens), backend=backend)


def _claim(settings: EvalSettings, source: _Source | None, asked: str, held: ExitStack) -> Path:
    """The run folder of these settings, weights and questions, for this process alone as long as it is held."""
    digests = [asked] if source is None else [asked, *_trained_weights(Path(settings.model), source)]
    weights = "" if source is None else source.folder.sha256
    key = digest_text(settings.model_dump_json(exclude={"out", "price"}), weights, *digests)
    return claim_folder(settings.out, f"eval-{Path(settings.model).name}", key=key, until=held)


def _trained_weights(run: Path, source: _Source) -> list[str]:
    """Digests of what lies beside a base; a whole model has its digest already."""
    return [] if run == source.folder.path else [digest_file(file) for file in sorted(run.glob("*.safetensors"))]


def read_evaluations(folder: Path) -> list[Evaluation]:
    """All evaluations below a folder, the newest of each model first.

    Raises:
        Usage: there is none.
    """
    found = []
    for path in sorted(folder.rglob(_RECORD)):
        try:
            found.append(Evaluation.model_validate_json(path.read_text(encoding="utf-8")))
        except ValueError:
            note(f"{path} is no evaluation of this version of hone; it is left out.")
    if not found:
        raise Usage(f"{folder} holds no evaluation. Make one: hone eval MODEL --tasks arc_easy.")
    return sorted(found, key=lambda one: one.started, reverse=True)


def load_answering(model: str, *, precision: Precision = "auto") -> tuple[ModelFolder, TextModel, TextReader]:
    """The model of a name, with what a `hone tune` run or a `hone compare` winner in its folder trained.

    Raises:
        BadModel: it is an encoder, its base has other weights, or a comparison's winner trained no model that answers in words.
    """
    source = _find(model)
    return source.folder, *_load(model, source, precision=precision)


def _find(model: str) -> _Source:
    trained = _trained_in(Path(model))
    return _Source(locate_model(trained.base if trained else model), trained)


def _load(model: str, source: _Source, *, precision: Precision) -> tuple[TextModel, TextReader]:
    folder, trained, run = source.folder, source.trained, Path(model)
    if family(read_config(folder)) == "encoder":
        raise BadModel(
            f"'{model}' is an encoder, which answers no questions in words. Name a decoder or an encoder-decoder, or measure "
            "it on rows of your own: hone compare."
        )
    reader = load_reader(folder, precision=precision)
    net = load_text_model(folder, pad_id=reader.pad_id)
    if trained is not None:
        if trained.base_sha256 != folder.sha256:
            raise BadModel(
                f"{run} was trained on '{trained.base}' with other weights than those found. Put the same model in place."
            )
        from hone.train import make_trainable, size_options

        tuned_net = make_trainable(trained.trainable, **size_options(trained.trainable, trained.settings)).load(net, run)
        assert isinstance(tuned_net, type(net))
        net = tuned_net
    return net.to(reader.device), reader.leaving_room(net.virtual)


@dataclass(frozen=True)
class _Trained:
    """What a folder adds to a model that lies elsewhere."""

    base: str
    base_sha256: str
    trainable: str
    settings: dict[str, Any]
    """Of the run, as far as it was asked for otherwise than by default."""


def _trained_in(run: Path) -> _Trained | None:
    """What hone trained there; None where the folder is a whole model, or none of hone's."""
    if not (run / "hone.json").is_file() or (run / "config.json").is_file():
        return None
    with read_errors(run / "hone.json", cure="Copy the folder whole again."):
        record = dict(json.loads((run / "hone.json").read_text(encoding="utf-8")))
        if "base" in record:
            asked = record["settings"]
            return _Trained(record["base"], record["base_sha256"], asked.get("method", "lora"), asked)
    from hone.strategy.text.predictor import TEXT_FILE, TextRecord

    way = record.get("strategy", "unknown")
    if not (run / TEXT_FILE).is_file():
        raise BadModel(
            f"{run} is the winner of a comparison, '{way}', which answers rows like its own and writes no other words. Ask it with "
            "hone predict, or name a decoder or an encoder-decoder here."
        )
    won = TextRecord.model_validate_json((run / TEXT_FILE).read_text(encoding="utf-8"))
    if won.trainable is None or won.base_sha256 is None:
        where = f" with --base-url {won.base_url}" if won.base_url else ""
        raise BadModel(
            f"{run} is the winner of a comparison, '{way}', which trained nothing: it is a way to ask '{won.base}'. "
            f"Name that model: {won.base}{where}."
        )
    return _Trained(won.base, won.base_sha256, won.trainable, {})


def _answer(task: str, sample: dict[str, Any]) -> dict[str, object]:
    """One question as it was asked and answered."""
    asked = sample["arguments"]
    first = asked[0] if isinstance(asked, list) and asked else asked
    return {
        "task": task,
        "filter": sample["filter"],
        "question": first[0] if isinstance(first, list | tuple) and first else str(first),
        "target": str(sample["target"]),
        "answers": json.loads(json.dumps(sample["filtered_resps"], default=str)),
        **{name: json.loads(json.dumps(sample[name], default=str)) for name in sample["metrics"] if name in sample},
    }
