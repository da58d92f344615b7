"""The parts of `benchmarks/eval.py`: requests are built once by the harness, then each backend answers the same ones in turn.

Random models of real shapes: only speed and equality matter. The harness's backend runs in fp32, its default, at the quickest of three batch
sizes; hone in fp32 and bf16.
"""

import json
import random
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from hone.catalogue import locate_model
from hone.core.awake import stay_awake
from hone.core.console import note, set_quiet
from hone.evaluate.harness import EngineLM, configuration, quiet
from hone.evaluate.local_tasks import LocalTask, find_local_tasks
from hone.model import Generator, Sampling, Scorer, load_language_model, load_reader, quiet_transformers
from labelled_rows import dialogsum
from reporting import arithmetics
from train_parts import WORDS, make_tokenizer

__all__ = ["make_models", "measure_choices", "measure_generation"]

Row = dict[str, Any]
Measured = tuple[list[Row], dict[str, float], dict[str, bool]]
_LENGTH = 2048
_QUESTIONS = {"mmlu": 160, "hellaswag": 60, "hellaswag_random": 20, "seq2seq_choices": 20}
_QUICK = {"mmlu": 24, "hellaswag": 8, "hellaswag_random": 4, "seq2seq_choices": 4}
_SHOTS = {"mmlu": 5, "hellaswag": 10, "hellaswag_random": 10, "seq2seq_choices": 10}


def make_models(folder: Path, data: Path) -> None:
    """A decoder and an encoder-decoder with random weights, and a tokenizer of DialogSum that adds nothing to a text."""
    import transformers

    tokenizer = make_tokenizer(data, length=_LENGTH, adds_end=False)
    special = {"vocab_size": WORDS, "pad_token_id": 0, "eos_token_id": 1}
    llama = {"hidden_size": 512, "num_hidden_layers": 8, "num_attention_heads": 8, "intermediate_size": 1376}
    t5 = {"d_model": 512, "num_layers": 8, "num_decoder_layers": 8, "num_heads": 8, "d_kv": 64, "d_ff": 2048}
    made = {
        "decoder": lambda: transformers.LlamaForCausalLM(
            transformers.LlamaConfig(
                **llama, **special, bos_token_id=None, max_position_embeddings=_LENGTH, tie_word_embeddings=True
            )
        ),
        "seq2seq": lambda: transformers.T5ForConditionalGeneration(
            transformers.T5Config(**t5, **special, dropout_rate=0.0, decoder_start_token_id=0)
        ),
    }
    for name, make in made.items():
        torch.manual_seed(0)
        with quiet_transformers():
            make().save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)


def measure_choices(part: str, models: Path, data: Path, *, is_quick: bool) -> Measured:
    """Multiple choice: seconds per backend for the same requests, and whether the same answers are chosen."""
    from lm_eval.models.huggingface import HFLM

    set_quiet(True)
    task = _task(part, data, (_QUICK if is_quick else _QUESTIONS)[part])
    kind = "seq2seq" if part == "seq2seq_choices" else "decoder"
    path = str(models / kind)
    requests = _requests(task, path, kind, _SHOTS[part], is_random=part == "hellaswag_random")
    peers: dict[str, Any] = {}
    with warnings.catch_warnings(), quiet(), quiet_transformers():
        warnings.simplefilter("ignore")
        for size in (1,) if is_quick else (1, 4, 8):
            backend = "seq2seq" if kind == "seq2seq" else "causal"
            peers[f"lm-eval, batch {size}"] = HFLM(
                pretrained=path, backend=backend, dtype="float32", batch_size=size, device="cpu", max_length=_LENGTH
            )
    best = min(peers, key=lambda name: _timed(lambda: _likelihoods(peers[name], requests[:: max(1, len(requests) // 16)]))[0])
    theirs = peers[best]
    turns = 1 if is_quick else 2
    engines = {precision: _engine(path, kind, precision) for precision in arithmetics()}
    contenders = ("theirs", *engines)
    times: dict[str, list[float]] = {name: [] for name in contenders}
    answers: dict[str, list[tuple[float, bool]]] = {}
    for turn in range(turns):
        for name in contenders if turn % 2 == 0 else contenders[::-1]:
            lm = theirs if name == "theirs" else engines[name]
            seconds, answers[name] = _timed(lambda lm=lm: _likelihoods(lm, requests))
            times[name].append(seconds)
    set_quiet(False)
    median = {name: statistics.median(found) for name, found in times.items()}
    chosen = {name: _chosen(requests, found) for name, found in answers.items()}
    apart = max(abs(one - other) for (one, _), (other, _) in zip(answers["theirs"], answers["fp32"], strict=True))
    same = sum(one == other for one, other in zip(chosen["theirs"], chosen["fp32"], strict=True))
    note(f"  {part}: {best} {median['theirs']:.1f} s, " + ", ".join(f"hone {one} {median[one]:.2f} s" for one in engines))
    count = len(chosen["theirs"])
    rows = [
        {"part": part, "contender": best, "seconds": median["theirs"], "remark": f"{count} questions, {_SHOTS[part]} shots"},
        {
            "part": part,
            "contender": "hone, fp32",
            "seconds": median["fp32"],
            "ratio": median["theirs"] / median["fp32"],
            "remark": f"{same} of {count} answers the same, log-likelihoods at most {apart:.1e} apart",
        },
    ]
    ratios = {f"{part}_fp32": median["theirs"] / median["fp32"]}
    checks = {"same_answers_fp32": same == count}
    is_named = part in ("mmlu", "hellaswag")
    if "bf16" in engines:
        near = sum(one == other for one, other in zip(chosen["fp32"], chosen["bf16"], strict=True)) / count
        rows.append(
            {
                "part": part,
                "contender": "hone, bf16",
                "seconds": median["bf16"],
                "ratio": median["theirs"] / median["bf16"],
                "remark": f"{near:.1%} of the answers those of fp32",
            }
        )
        if is_named:
            ratios[f"{part}_bf16"] = median["theirs"] / median["bf16"]
            checks["bf16_answers_within_1_percent"] = near >= 0.99
    if is_named:
        checks["same_harness_scores"] = _same_scores(task, theirs, engines["fp32"], _SHOTS[part])
    return rows, ratios, checks


def measure_generation(part: str, models: Path, data: Path, *, is_quick: bool) -> Measured:
    """Greedy answers of 24 tokens to 16 prompts that begin with the same examples, against transformers' `generate` with the same batch."""
    import transformers

    path = str(models / "decoder")
    reader = load_reader(locate_model(path), precision="fp32")
    rows = dialogsum(data)
    block = "\n\n".join(f"{row.prompt}\nSummary: {row.completion}" for row in rows[:3])
    texts = [f"{block}\n\n{row.prompt}\nSummary:" for row in rows[10 : 10 + (4 if is_quick else 16)]]
    prompts = [ids[-(_LENGTH - 64) :] for ids in reader.tokenizer(texts)["input_ids"]]
    sampling = Sampling(max_new_tokens=24)
    plain = transformers.AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])

    def theirs() -> list[list[int]]:
        with torch.no_grad():
            found = plain.generate(ids, attention_mask=mask, max_new_tokens=24, do_sample=False, pad_token_id=0)
        return [[token for token in row[longest:].tolist() if token > 1] for row in found]

    engines = {
        precision: Generator(load_language_model(locate_model(path), "causal", pad_id=0), reader.tokenizer, precision=precision)  # type: ignore[arg-type]
        for precision in arithmetics()
    }
    times: dict[str, list[float]] = {name: [] for name in ("theirs", *engines)}
    answers: dict[str, list[list[int]]] = {}
    for _ in range(1 if is_quick else 3):
        seconds, answers["theirs"] = _timed(theirs)
        times["theirs"].append(seconds)
        for name, engine in engines.items():
            seconds, found = _timed(lambda engine=engine: engine.generate(prompts, sampling))
            times[name].append(seconds)
            answers[name] = [[token for token in one.ids if token > 1] for (one,) in found]
    median = {name: statistics.median(found) for name, found in times.items()}
    same = answers["theirs"] == answers["fp32"]
    mean = sum(map(len, prompts)) / len(prompts)
    remark = f"{len(prompts)} prompts of {mean:,.0f} tokens, 24 new"
    rows_ = [{"part": part, "contender": "transformers, fp32", "seconds": median["theirs"], "remark": remark}]
    for name in engines:
        told = ("same texts" if same else "other texts") if name == "fp32" else ""
        ratio = median["theirs"] / median[name]
        rows_.append({"part": part, "contender": f"hone, {name}", "seconds": median[name], "ratio": ratio, "remark": told})
    return rows_, {"generate_vs_transformers": median["theirs"] / median["fp32"]}, {"same_generations_fp32": same}


def _task(part: str, data: Path, questions: int) -> LocalTask:
    """Questions with their examples. HellaSwag has no training file here, so its first ten rows are the examples."""
    from dataclasses import replace

    if part == "mmlu":
        large = [one for one in find_local_tasks(data, ("mmlu",)) if len(one.tests) >= _QUESTIONS["mmlu"]]
        large.sort(key=lambda one: sum(len(row["query"]) for row in one.tests) / len(one.tests))
        task = large[len(large) // 2]  # the subject of middling length
        return replace(task, tests=task.tests[:questions])
    (task,) = find_local_tasks(data, ("hellaswag",))
    return replace(task, tests=task.tests[10 : 10 + questions], shots=task.tests[:10])


def _requests(task: LocalTask, path: str, kind: str, shots: int, *, is_random: bool) -> list[Any]:
    """The harness's own requests, in its order."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    kept: list[Any] = []

    class Recorder(EngineLM):  # type: ignore[misc]
        def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
            kept.extend(requests)
            return [(0.0, False)] * len(requests)

    config = configuration(task, shots)
    if is_random:
        config["fewshot_config"] = {"sampler": "default"}
    with quiet():
        simple_evaluate(
            model=Recorder(*_parts(path, kind, "fp32")[:3], length=_LENGTH),
            tasks=[config],
            num_fewshot=shots,
            task_manager=TaskManager(include_defaults=False),
            bootstrap_iters=0,
        )
    return kept


def _parts(path: str, kind: str, precision: Any) -> tuple[Scorer, Generator, Any]:
    folder = locate_model(path)
    reader = load_reader(folder, precision=precision)
    net = load_language_model(folder, "seq2seq" if kind == "seq2seq" else "causal", pad_id=0).to(reader.device)
    return Scorer(net, precision=precision), Generator(net, reader.tokenizer, precision=precision), reader.tokenizer


def _engine(path: str, kind: str, precision: Any) -> EngineLM:
    return EngineLM(*_parts(path, kind, precision), length=_LENGTH)


def _likelihoods(lm: Any, requests: Sequence[Any]) -> list[tuple[float, bool]]:
    with quiet():
        found: list[tuple[float, bool]] = lm.loglikelihood(list(requests), disable_tqdm=True)
    return found


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """In seconds. Processors stay awake for everyone, as they would for a peer in a process of its own, whose threads spin."""
    with stay_awake(torch.device("cpu")):
        started = time.perf_counter()
        found = work()
        return time.perf_counter() - started, found


def _chosen(requests: Sequence[Any], answers: Sequence[tuple[float, bool]]) -> list[int]:
    """The likeliest choice of each question, requests of one question standing together."""
    by_question: dict[int, list[float]] = {}
    for request, (likelihood, _) in zip(requests, answers, strict=True):
        by_question.setdefault(request.doc_id, []).append(likelihood)
    return [max(range(len(found)), key=found.__getitem__) for found in by_question.values()]


def _same_scores(task: LocalTask, theirs: Any, ours: EngineLM, shots: int) -> bool:
    """Whether the harness reports the same numbers for both on the first questions."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    found = []
    for lm in (theirs, ours):
        with quiet():
            result = simple_evaluate(
                model=lm,
                tasks=[configuration(task, shots)],
                num_fewshot=shots,
                limit=8,
                task_manager=TaskManager(include_defaults=False),
                bootstrap_iters=0,
                random_seed=random.Random(0).randint(0, 9),
            )
        found.append(json.dumps(result["results"], sort_keys=True, default=str))
    return found[0] == found[1]
