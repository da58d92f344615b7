"""The door to lm-evaluation-harness: its tasks and metrics, with hone's engine as the model that answers.

Requests are tokenised as its own transformers backend does it, so scores are equal; what they share is read once, so they come sooner.
"""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from functools import cache, partial
from typing import Any

from datasets import Dataset
from datasets.exceptions import DatasetNotFoundError
from jinja2 import TemplateError
from lm_eval import evaluator, simple_evaluate
from lm_eval.api.model import LM, TemplateLM
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks import TaskManager
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from hone.core.console import note, progress
from hone.core.errors import BadModel, Failed, Usage
from hone.evaluate.cut_prompts import CutPrompts
from hone.evaluate.harness_requests import dealt, in_groups, moved_spaces
from hone.evaluate.harness_squad import stand_in
from hone.evaluate.local_tasks import LocalTask
from hone.model import Generator, Sampling, Scorer, Seq2SeqModel, tell_thoughts

__all__ = [
    "EngineLM",
    "configuration",
    "fetching",
    "marks_itself",
    "quiet",
    "read_task_list",
    "run_harness",
    "usual_length",
]

_TEXTS = 2_000  # tokenised at once
_UNBOUNDED = 1e29  # tokenizers without a limit say 1e30
_USUAL_LENGTH = 2048  # the harness's own, where nothing says one


class EngineLM(TemplateLM):  # type: ignore[misc]
    """hone's scorer and generator behind the harness's interface."""

    def __init__(self, scorer: Scorer, generator: Generator, tokenizer: Any, *, length: int, longest: int | None = None) -> None:
        """`length`: tokens that the model may read. `longest`: of an answer; None for what the tasks say."""
        super().__init__()
        self.scorer, self.generator, self.tokenizer, self.length, self.longest = scorer, generator, tokenizer, length, longest
        self.backend = "seq2seq" if isinstance(scorer.net, Seq2SeqModel) else "causal"
        self.cut = CutPrompts()
        self._leaves_out = False
        """Whether the chat template was found to refuse what a system says."""

    @property
    def eot_token_id(self) -> int:
        """End of text."""
        return int(self.tokenizer.eos_token_id)

    @property
    def prefix_token_id(self) -> int:
        """What stands before a text that has no context."""
        start = self.tokenizer.bos_token_id
        return self.eot_token_id if start is None else int(start)

    @property
    def tokenizer_name(self) -> str:
        """For the harness's cache of chat prompts."""
        return str(self.tokenizer.name_or_path).replace("/", "__")

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """A dialogue as the model's own template writes it: where that refuses a system's turn, without it, as the harness's backend does.

        Raises:
            BadModel: it refuses the dialogue without a system's turn, too.
        """
        try:
            text: str = self.tokenizer.apply_chat_template(
                chat_history,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
                continue_final_message=not add_generation_prompt,
            )
        except TemplateError as error:
            rest = [turn for turn in chat_history if turn["role"] != "system"]
            if len(rest) == len(chat_history):
                raise BadModel(f"The chat template of this model refuses a question: {error}. Leave out --chat.") from error
            if not self._leaves_out:
                self._leaves_out = True
                note(
                    f"The chat template of this model refuses a system's turn ({error}); what tasks say there is left out, "
                    "as lm-evaluation-harness does."
                )
            return self.apply_chat_template(rest, add_generation_prompt)
        return text

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        """Token ids; a text that begins with the beginning-of-sequence token gets no second one."""
        return self._encoded([string], special=add_special_tokens)[0]

    def _encoded(self, texts: Sequence[str], *, special: bool | None = None) -> list[list[int]]:
        """Token ids of many texts, each distinct one tokenised once."""
        start = self.tokenizer.decode(self.prefix_token_id)
        found: dict[str, list[int]] = {}
        for plain in (False, True):
            mine = [
                text for text in dict.fromkeys(texts) if (special is None and bool(start) and text.startswith(start)) == plain
            ]
            how = {"add_special_tokens": False} if plain else {} if special is None else {"add_special_tokens": special}
            for at in range(0, len(mine), _TEXTS):
                part = mine[at : at + _TEXTS]
                found |= dict(zip(part, self.tokenizer(part, verbose=False, **how)["input_ids"], strict=True))
        return [found[text] for text in texts]

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Log-likelihood of each continuation and whether it is what greedy decoding writes."""
        pairs = [moved_spaces(*request.args) for request in requests]
        asked = [pair for pair in pairs if pair[0]]
        contexts = iter(self._encoded([context for context, _ in asked]))
        if self.backend == "causal":
            wholes = iter(self._encoded([context + continuation for context, continuation in asked]))
        else:
            wholes = iter(self._encoded([continuation for _, continuation in asked], special=False))
        alone = iter(self._encoded([continuation for context, continuation in pairs if not context], special=False))
        tokens: list[tuple[None, list[int], list[int]]] = []
        for context, _ in pairs:
            if context:
                before, whole = next(contexts), next(wholes)
                if self.backend == "causal":
                    cut = min(
                        len(before), len(whole) - 1
                    )  # a tokenizer may join the last word and the first: one token is scored at least
                    before, whole = whole[:cut] if cut < len(before) else before, whole[cut:]
                tokens.append((None, before, whole))
                continue
            written = next(alone)
            starts = written[0] == self.prefix_token_id
            tokens.append((None, written[:1], written[1:]) if starts else (None, [self.prefix_token_id], written))
        longest = self.length if self.backend == "seq2seq" else self.length + 1
        too_long = [
            request
            for request, (_, before, after) in zip(requests, tokens, strict=True)
            if len(before) + (len(after) if self.backend == "causal" else 0) > longest
        ]
        self.cut.tell(too_long, among=len(requests), room=self.length)
        answers = self._loglikelihood_tokens(tokens)
        for request, answer in zip(requests, answers, strict=True):
            self.cache_hook.add_partial("loglikelihood", request.args, answer)
        return answers

    def _loglikelihood_tokens(self, requests: Sequence[tuple[Any, list[int], list[int]]], **_: Any) -> list[tuple[float, bool]]:
        prompts, continuations = [], []
        for _text, before, after in requests:
            if len(after) > self.length:
                raise Usage(
                    f"A task asks how likely a text of {len(after):,} tokens is, {self.tokenizer.decode(after[:12])!r}..., and the model "
                    f"reads {self.length:,}. Leave that question or task out, or name a model with a longer context."
                )
            prompts.append(
                before[-self.length :] if self.backend == "seq2seq" else (before + after)[-(self.length + 1) :][: -len(after)]
            )
            continuations.append(after)
        with progress("Scoring", len(prompts)) as bar:
            found = self.scorer.score(prompts, continuations, bar=bar)
        return [(one.log_likelihood, one.is_greedy) for one in found]

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """Log-likelihood of whole texts, in windows of the context's length that do not overlap."""
        windows: list[tuple[None, list[int], list[int]]] = []
        owners: list[int] = []
        for index, ids in enumerate(self._encoded([request.args[0] for request in requests])):
            for window in get_rolling_token_windows(
                token_list=ids, prefix_token=self.prefix_token_id, max_seq_len=self.length, context_len=1
            ):
                before, after = make_disjoint_window(window)
                windows.append((None, before, after))
                owners.append(index)
        totals = [0.0] * len(requests)
        for owner, (likelihood, _) in zip(owners, self._loglikelihood_tokens(windows), strict=True):
            totals[owner] += likelihood
        return totals

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """A text per request, ended before its stop texts."""
        answers = [""] * len(requests)
        own = self.generator.configured
        if own is not None and (told := own.told()):
            note(f"The model's generation_config.json says {told}; answers are written so, as lm-evaluation-harness does.")
        end = self.tokenizer.decode(self.eot_token_id)
        for texts, sampling in in_groups(requests, longest=self.longest):
            room = self.length if self.backend == "seq2seq" else self.length - sampling.max_new_tokens
            if room < 1:
                raise Usage(
                    f"A task asks for answers of {sampling.max_new_tokens:,} tokens, and the model reads {self.length:,} in all, so no word of "
                    f"its questions would fit; lm-evaluation-harness refuses that too. Give answers less room, --max-tokens {self.length // 4} "
                    "(longer ones are cut off there), leave that task out, or name a model with a longer context."
                )
            whole = self._encoded(list(texts))
            too_long = [
                requests[index] for ids, places in zip(whole, texts.values(), strict=True) if len(ids) > room for index in places
            ]
            self.cut.tell(too_long, among=sum(map(len, texts.values())), room=room)
            prompts = [ids[-room:] for ids in whole]
            longest = self._longest(prompts, sampling)
            asked = {"stop": tuple(dict.fromkeys((*sampling.stop, end))), "max_new_tokens": longest}
            with progress("Writing", len(prompts)) as bar:
                found = self.generator.generate(prompts, sampling.model_copy(update=asked), bar=bar)
            tell_thoughts(found, model="the model", tokens=longest)
            for index, answer in dealt(texts, found):
                answers[index] = answer.text
                self.cache_hook.add_partial("generate_until", requests[index].args, answer.text)
        return answers

    def _longest(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> int:
        """Tokens of an answer: the task's number, or what the model's configuration names for every text, as far as the model reads."""
        own = self.generator.configured
        if self.longest or own is None or own.max_new_tokens is None:
            return sampling.max_new_tokens
        if self.backend == "seq2seq":
            return own.max_new_tokens
        return min(own.max_new_tokens, self.length - max(map(len, prompts)))


def usual_length(config: Any, tokenizer: Any) -> int:
    """Tokens that a model reads in the harness's transformers backend; with another length long prompts would be cut elsewhere."""
    text = getattr(config, "text_config", None) or config
    said = (getattr(text, name, None) for name in ("n_positions", "max_position_embeddings", "n_ctx"))
    positions = next((size for size in said if size is not None), None)
    if positions is None:
        positions = tokenizer.model_max_length if tokenizer.model_max_length < _UNBOUNDED else _USUAL_LENGTH
    return int(positions)


def run_harness(
    model: LM,
    tasks: Sequence[str | LocalTask],
    *,
    shots: int | None,
    limit: int | None,
    chat: bool,
) -> dict[str, Any]:
    """The harness's own result for some of its tasks, by name, and for tasks from local files.

    Raises:
        Usage: the harness knows no task of a name, or a task has too few examples to show. Failed: questions cannot be fetched.
    """
    named = [task for task in tasks if isinstance(task, str)]
    with quiet():
        manager = read_task_list(named)
        with fetching(), _enough_examples(shots):
            found: dict[str, Any] = simple_evaluate(
                model=model,
                tasks=[task if isinstance(task, str) else configuration(task, shots) for task in tasks],
                num_fewshot=shots,
                limit=limit,
                task_manager=manager,
                bootstrap_iters=0,
                apply_chat_template=chat,
                log_samples=True,
            )
    return found


def read_task_list(named: Sequence[str]) -> TaskManager:
    """The harness's own tasks, where some are named; else only those that are handed to it.

    Raises:
        Usage: it knows no task of a name.
    """
    stand_in()
    manager = _own_tasks() if named else TaskManager(include_defaults=False)
    unknown = [name for name in named if name not in manager.all_tasks]
    if unknown:
        raise Usage(f"lm-evaluation-harness knows no task {', '.join(map(repr, unknown))}. `lm-eval ls tasks` lists them.")
    return manager


def marks_itself(task: Any) -> bool:
    """Whether a task says by itself how right an answer is, instead of the right choice's being the likeliest."""
    return callable(task.config.process_results) or type(task).process_results is not ConfigurableTask.process_results


@cache
def _own_tasks() -> TaskManager:
    note("lm-evaluation-harness reads its list of tasks; this takes some seconds.")
    return TaskManager()


@contextlib.contextmanager
def fetching() -> Iterator[None]:
    """Inside this block questions come from the Hub, if they can."""
    try:
        yield
    except (ConnectionError, DatasetNotFoundError) as error:
        raise Failed(
            f"The questions could not be fetched: {error}. Without a network, name a folder that holds the benchmark's files: --data DIR, "
            "or of a retained task the folder itself."
        ) from error


@contextlib.contextmanager
def _enough_examples(shots: int | None) -> Iterator[None]:
    """The harness draws all examples before the model is asked, and asserts that there are enough."""
    try:
        yield
    except (AssertionError, ValueError) as error:
        said = str(error)
        if shots is None or not ("fewshot samples" in said or "Sample larger than population" in said):
            raise
        raise Usage(f"--shots {shots} is more than a task has examples to show ({said}). Name fewer.") from error


def configuration(task: LocalTask, shots: int | None) -> dict[str, Any]:
    """A local task as the harness's configuration."""

    def rows(**_: Any) -> dict[str, Dataset]:
        shown = {"shots": Dataset.from_list(task.shots)} if task.shots and not task.own else {}
        return {"test": Dataset.from_list(task.tests), **shown}

    count = (shots if shots is not None else task.default_shots) if task.shots else 0
    if task.own:
        return {**task.own, "task": task.name, "custom_dataset": rows, "num_fewshot": count}
    config: dict[str, Any] = {
        "task": task.name,
        "custom_dataset": rows,
        "test_split": "test",
        "description": task.description,
        "target_delimiter": task.delimiter,
        "num_fewshot": count,
        "metric_list": [_metric(name, task) for name in task.metrics],
        "metadata": {"version": 1.0},
    }
    if task.shots:
        config |= {"fewshot_split": "shots", "fewshot_config": {"sampler": "first_n"}}
    if task.form == "choices":
        config |= {"output_type": "multiple_choice", "doc_to_text": "query", "doc_to_choice": "choices", "doc_to_target": "gold"}
    elif task.form == "blank":
        config |= {
            "output_type": "multiple_choice",
            "doc_to_text": lambda row: row["gold"],
            "doc_to_choice": lambda row: row["contexts"],
            "doc_to_target": lambda row: row["rest"],
        }
    else:
        config |= {"output_type": "loglikelihood" if task.form == "likelihood" else "generate_until"}
        config |= {"doc_to_text": "query", "doc_to_target": "answer"}
    if task.form == "text":
        config |= {"generation_kwargs": {"until": list(task.stop), "do_sample": False}}
        config |= {name: value for name, value in task.harness.items() if name != "compare"}
    return config


def _metric(name: str, task: LocalTask) -> dict[str, Any]:
    if name == "macro_f1":
        choices = max(len(row["choices"]) for row in task.tests)
        return {"metric": "f1", "aggregation": partial(_macro_f1, choices), "higher_is_better": True}
    entry: dict[str, Any] = {"metric": name, "higher_is_better": name != "perplexity"}
    if name in ("acc", "acc_norm", "exact_match"):
        entry["aggregation"] = "mean"
    return {**entry, **(task.harness.get("compare", {}) if name == "exact_match" else {})}


def _macro_f1(choices: int, items: Sequence[tuple[int, int]]) -> float:
    """Over all choices: one that is neither right nor predicted counts as 0, as in the harness's own task."""
    from sklearn.metrics import f1_score

    right, predicted = zip(*items, strict=True)
    return float(f1_score(right, predicted, labels=range(choices), average="macro", zero_division=0))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The harness logs and shows bars of its own."""
    from tqdm import tqdm

    level, started, commit = logging.root.manager.disable, tqdm.__init__, evaluator.get_git_commit_hash
    logging.disable(logging.WARNING)
    evaluator.get_git_commit_hash = lambda: None  # it asks git about the folder it is started in, and git complains

    def silent(self: Any, *arguments: Any, **named: Any) -> None:
        started(self, *arguments, **{**named, "disable": True})

    tqdm.__init__ = silent
    try:
        yield
    finally:
        logging.disable(level)
        tqdm.__init__ = started
        evaluator.get_git_commit_hash = commit
