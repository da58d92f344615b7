"""A model in vLLM on this machine's GPUs, through its offline `LLM` class.

Prompts are rendered and tokenised as for a network here, so both read the same. Prefixes that prompts share are read once when texts
are written; for likelihoods vLLM reads every prompt whole, as it keeps none of a prefix.
Source: https://docs.vllm.ai/en/latest/api/vllm/sampling_params/
"""

from collections.abc import Sequence
from typing import Any, cast

from hone.core.console import Bar
from hone.core.errors import BadModel, Usage, need
from hone.model.arithmetic import Precision
from hone.model.generated import Finish, Generated
from hone.model.render import PLAIN_TEMPLATE, Renderer
from hone.model.sampling import Sampling
from hone.model.score import Likelihood
from hone.model.spending import Ledger, Spent
from hone.model.thoughts import answer_in, opens_at_end, tell_thoughts

__all__ = ["SCORING", "VllmBackend", "generated_from", "likelihood_from", "sampling_arguments"]

_DTYPES = {"auto": "auto", "bf16": "bfloat16", "fp32": "float32"}

SCORING: dict[str, Any] = {"max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 1, "detokenize": False}
"""Arguments of SamplingParams that score a prompt; the one token that must be written is not looked at."""


def sampling_arguments(sampling: Sampling) -> dict[str, Any]:
    """Our settings as arguments of vLLM's SamplingParams.

    Raises:
        Usage: beams are asked for, whose search in vLLM ends by other rules, so their texts would not compare.
    """
    if sampling.beams > 1:
        raise Usage(
            f"beams={sampling.beams}: vLLM's beam search ends by other rules than this one. Leave it at 1, or run without vllm:."
        )
    return {
        "n": sampling.samples,
        "max_tokens": sampling.max_new_tokens,
        "temperature": sampling.temperature,
        "top_k": sampling.top_k or -1,  # all, in the word that every version knows
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "repetition_penalty": sampling.repetition_penalty,
        "stop": list(sampling.stop),
        "seed": sampling.seed,
        "logprobs": 0,  # of the words written alone: from them the sum is told
        "skip_special_tokens": True,
    }


def generated_from(output: Any, *, is_open: bool = False) -> list[Generated]:
    """The answers of one `RequestOutput`. `is_open`: whether its prompt begins a thought."""
    found = []
    for one in sorted(output.outputs, key=lambda each: each.index):
        ids = tuple(one.token_ids)
        finish: Finish = "length"
        if one.finish_reason == "stop":
            finish = "stop" if isinstance(one.stop_reason, str) else "end"
        if finish == "end":
            ids = ids[:-1]  # the token that ended it
        likelihood = float("nan") if one.cumulative_logprob is None else float(one.cumulative_logprob)
        text = answer_in(one.text, is_open=is_open)
        found.append(Generated(text or "", ids, likelihood, finish, is_thought=text is None))
    return found


def likelihood_from(output: Any, continuation: Sequence[int]) -> Likelihood:
    """Of the last tokens of a prompt, from one `RequestOutput` with `prompt_logprobs`."""
    entries = list(output.prompt_logprobs)[-len(continuation) :]
    total, is_greedy = 0.0, True
    for entry, token in zip(entries, continuation, strict=True):
        own = float(entry[token].logprob)
        total += own
        is_greedy = is_greedy and own >= max(float(each.logprob) for each in entry.values())
    return Likelihood(total, is_greedy, len(continuation))


class VllmBackend:
    """One model in an engine of its own."""

    can_score = True
    is_estimate = False
    """Whether `count_tokens` estimates."""

    def __init__(
        self, model: str, *, precision: Precision = "auto", template: str | None = None, chat: bool | None = None
    ) -> None:
        """
        Args:
            model: a folder or a Hub id. template, chat: as for a network here.
        Raises:
            MissingPackage: vLLM is not installed. BadModel: it cannot load the model. Usage: the template shows no prompt.
        """
        self._vllm = cast(Any, need("vllm", extra="vllm"))
        template = PLAIN_TEMPLATE if template is None else template
        if "{prompt}" not in template:
            raise Usage(f"The template {template!r} has no {{prompt}} in it, so the model would read none of the rows.")
        self.name = f"vllm:{model}"
        try:
            self._engine = self._vllm.LLM(model=model, dtype=_DTYPES[precision], enable_prefix_caching=True)
        except Exception as error:  # vLLM raises what its parts raise: no GPU, no memory, no such model
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise BadModel(f"vLLM cannot load '{model}': {first} Look at what it wrote above, or run without vllm:.") from error
        self._tokenizer = self._engine.get_tokenizer()
        self.context_length = int(self._engine.llm_engine.model_config.max_model_len)
        self._renderer = Renderer(self._tokenizer, length=self.context_length, template=template, chat=chat)
        self._ledger = Ledger()

    def generate(self, prompts: Sequence[str], sampling: Sampling, *, bar: Bar | None = None) -> list[list[Generated]]:
        """`sampling.samples` answers per prompt; vLLM orders its batches by itself.

        Raises:
            Usage: beams, or answers of a length that leaves no room for a prompt.
        """
        arguments = sampling_arguments(sampling)
        ids = self._renderer.prompts(prompts, leaving=sampling.max_new_tokens)
        outputs = self._run(ids, arguments, bar)
        opened = [opens_at_end(self._tokenizer, row) for row in ids]
        found = [generated_from(output, is_open=is_open) for output, is_open in zip(outputs, opened, strict=True)]
        tell_thoughts(found, model=self.name, tokens=sampling.max_new_tokens)
        self._ledger.add(sum(map(len, ids)), sum(len(one.ids) for answers in found for one in answers), requests=len(found))
        return found

    def score(self, prompts: Sequence[str], continuations: Sequence[str], *, bar: Bar | None = None) -> list[Likelihood]:
        """Log-likelihood of each continuation, tokenised apart from its prompt.

        Raises:
            Usage: a continuation has no tokens, or too many for the context.
        """
        before, after = self._renderer.pairs(prompts, continuations, spare=1)
        rows = [[*prompt, *continuation] for prompt, continuation in zip(before, after, strict=True)]
        outputs = self._run(rows, SCORING, bar)
        self._ledger.add(sum(map(len, rows)), len(rows), requests=len(rows))
        return [likelihood_from(output, continuation) for output, continuation in zip(outputs, after, strict=True)]

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens per text, special ones included."""
        return [len(ids) for ids in self._tokenizer(list(texts), verbose=False)["input_ids"]] if texts else []

    def spent(self) -> Spent:
        """Tokens and requests so far; no money, as time here is not billed by tokens."""
        return self._ledger.spent()

    def _run(self, rows: Sequence[Sequence[int]], arguments: dict[str, Any], bar: Bar | None) -> list[Any]:
        if not rows:
            return []
        asked = [{"prompt_token_ids": list(row)} for row in rows]
        outputs: list[Any] = self._engine.generate(asked, self._vllm.SamplingParams(**arguments), use_tqdm=False)
        if bar:
            bar.advance(len(rows))
        return outputs
