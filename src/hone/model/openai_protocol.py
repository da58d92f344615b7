"""What a request to an OpenAI-compatible server says, and what its answers mean. Pure functions from records to JSON and back.

Source: https://platform.openai.com/docs/api-reference; where servers go further, vLLM's names are taken.
"""

from collections.abc import Callable, Sequence
from typing import Any

from hone.core.errors import Usage
from hone.model.generated import Finish, Generated
from hone.model.sampling import Sampling
from hone.model.score import Likelihood
from hone.model.thoughts import answer_in, begins_unopened, stopped

__all__ = ["generated", "generation_body", "likelihood", "opens_thoughts", "read_answers", "read_echo", "scoring_body"]

_STOPS = 4  # that OpenAI takes
_THOUGHTS = ("reasoning_content", "reasoning")  # as DeepSeek, vLLM and llama.cpp, and as OpenRouter and Ollama name them
Answer = dict[str, Any]


def generation_body(model: str, sampling: Sampling, *, extras: bool) -> dict[str, Any]:
    """A request without its prompt.

    With extras, neutral values are said too: vLLM and SGLang otherwise take those of the model's generation_config.json.

    Raises:
        Usage: the protocol has no word for a setting.
    """
    if sampling.beams > 1:
        raise Usage(f"beams={sampling.beams}: OpenAI's protocol knows no beam search. Leave it at 1, or run the model here.")
    beyond = {
        "top_k": (sampling.top_k, 0),
        "min_p": (sampling.min_p, 0),
        "repetition_penalty": (sampling.repetition_penalty, 1),
    }
    asked = [f"{name}={value:g}" for name, (value, neutral) in beyond.items() if value != neutral]
    if len(sampling.stop) > _STOPS:
        asked.append(f"{len(sampling.stop)} stop texts (it takes {_STOPS})")
    if asked and not extras:
        raise Usage(
            f"{', '.join(asked)}: OpenAI's protocol cannot say that, and a server might ignore it in silence. "
            "Leave it out; or, where the server takes it as vLLM does, set extras."
        )
    body: dict[str, Any] = {"model": model, "max_tokens": sampling.max_new_tokens, "temperature": sampling.temperature}
    if sampling.samples > 1:
        body["n"] = sampling.samples
    if sampling.temperature > 0:
        body["seed"] = sampling.seed
    if sampling.top_p < 1 or extras:
        body["top_p"] = sampling.top_p
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if extras:
        body |= {"top_k": sampling.top_k or -1, "min_p": sampling.min_p, "repetition_penalty": sampling.repetition_penalty}
    return body


def scoring_body(model: str, prompt: str | list[int]) -> dict[str, Any]:
    """A request whose answer repeats the prompt with the log-likelihood of each of its tokens.

    One token is written besides: not every server takes a limit of 0.
    """
    return {"model": model, "prompt": prompt, "max_tokens": 1, "temperature": 0.0, "echo": True, "logprobs": 1}


def read_answers(samples: int, stops: Sequence[str]) -> Callable[[dict[str, Any]], Answer]:
    """What is kept of a server's answer to a generation: texts with their ends, and the tokens it counted.

    The function raises KeyError and the like where the answer lacks something, and Usage where it holds too few texts.
    """

    def read(found: dict[str, Any]) -> Answer:
        choices = sorted(found["choices"], key=lambda choice: choice.get("index", 0))
        if not choices:
            raise ValueError("no choices")
        if len(choices) < samples:
            raise Usage(
                f"The server gave {len(choices)} of {samples} answers to a prompt: it does not know 'n'. Ask for samples=1."
            )
        answers = [_choice(choice, stops) for choice in choices[:samples]]
        return {"answers": answers, **_usage(found, wrote=any(one["text"] or "thought" in one for one in answers))}

    return read


def _choice(choice: dict[str, Any], stops: Sequence[str]) -> dict[str, str]:
    reason = choice.get("finish_reason")
    said = choice.get("message", choice)
    name = "content" if "message" in choice else "text"
    content = said.get(name) if reason else said[name]  # some leave out what is empty, but an answer has an end
    text = "" if content is None else _joined(content) if isinstance(content, list) else content
    if not isinstance(text, str):
        raise TypeError(f"a text is a {type(text).__name__}")
    finish = "length" if reason == "length" else "stop" if isinstance(choice.get("stop_reason"), str) else "end"
    before = stopped(text, stops)  # a server that leaves the stop text in
    if before is not None:
        text, finish = before, "stop"
    found = {"text": text, "finish": finish}
    thought = next((said[name] for name in _THOUGHTS if isinstance(said.get(name), str) and said[name]), "")
    if thought:
        found["thought"] = thought
    if reason == "content_filter" or (not text and bool(said.get("refusal"))):
        found["withheld"] = "yes"
    return found


def _joined(parts: list[Any]) -> str:
    """The texts among the parts of a message; thoughts and the like are none."""
    return "".join(part if isinstance(part, str) else part["text"] for part in parts if isinstance(part, str) or "text" in part)


def generated(answer: Answer, *, is_open: bool = False) -> list[Generated]:
    """Answers as every backend gives them; a server names neither token ids nor likelihoods.

    Args:
        is_open: the server's chat template begins thoughts, so that a text without any mark that was cut off is one.
    """
    return [_generated(one, is_open=is_open) for one in answer["answers"]]


def _generated(one: dict[str, str], *, is_open: bool) -> Generated:
    finish: Finish = one["finish"]  # type: ignore[assignment]
    is_cut = finish == "length"
    text = answer_in(one["text"], is_open=is_open and is_cut and "thought" not in one)
    is_thought = text is None or (not text.strip() and (is_cut or "thought" in one))
    return Generated(text or "", (), float("nan"), finish, is_thought=is_thought)


def opens_thoughts(answers: Sequence[Answer]) -> bool:
    """Whether some answers close a thought that they have not opened, as the server's chat template did."""
    return any(begins_unopened(one["text"]) for answer in answers for one in answer["answers"])


def read_echo(prompt: str | list[int], continuation: str | list[int]) -> Callable[[dict[str, Any]], Answer]:
    """What is kept of a server's answer to a scoring request: the continuation's log-likelihood and whether each token was the likeliest.

    Args:
        prompt, continuation: both as texts, or both as the token ids that were sent. Of texts, the tokens from the first that reaches
            into the continuation are summed, counted from the end: servers may put a token before the text.
    """

    def read(found: dict[str, Any]) -> Answer:
        told = found["choices"][0]["logprobs"]
        tokens, likelihoods, best = told["tokens"], told["token_logprobs"], told["top_logprobs"]
        first, end = _span(prompt, continuation, tokens)
        if not first < end <= len(likelihoods) or end > len(best):
            raise ValueError(f"{len(likelihoods)} log-likelihoods")
        values = [float(value) for value in likelihoods[first:end]]
        greedy = all(value >= max(top.values()) for value, top in zip(values, best[first:end], strict=True))
        return {"log_likelihood": sum(values), "is_greedy": greedy, "tokens": end - first, **_usage(found, wrote=False)}

    return read


def _span(prompt: str | list[int], continuation: str | list[int], tokens: Sequence[str]) -> tuple[int, int]:
    """First and end of the continuation's tokens among those of the answer, which may hold a written one at its end."""
    if not isinstance(prompt, str):
        if len(tokens) not in (len(prompt) + len(continuation), len(prompt) + len(continuation) + 1):
            raise ValueError(f"{len(tokens)} tokens for {len(prompt)} and {len(continuation)}")
        return len(prompt), len(prompt) + len(continuation)
    assert isinstance(continuation, str)
    whole = prompt + continuation
    for end in (len(tokens) - 1, len(tokens)):
        joined = "".join(tokens[:end])
        if joined.endswith(whole):
            start, at, first = len(joined) - len(continuation), len(joined), end
            while at > start:
                first -= 1
                at -= len(tokens[first])
            return first, end
    if len(tokens) <= 1:
        raise ValueError("the prompt's tokens are not repeated")
    raise Usage(
        "The tokens that the server repeats do not join to the text that was sent, so where the continuation begins cannot be told. "
        "Name the folder of the model's tokenizer: prompts are then sent as its token ids."
    )


def likelihood(answer: Answer) -> Likelihood:
    """A kept answer as every backend gives it."""
    return Likelihood(float(answer["log_likelihood"]), bool(answer["is_greedy"]), int(answer["tokens"]))


def _usage(found: dict[str, Any], *, wrote: bool) -> Answer:
    """Tokens that the server counted, None where it did not, or counted what cannot be: no answer is asked for again for that.

    Args:
        wrote: whether there is a text, which has at least one token.
    """
    usage = found.get("usage")
    told = usage if isinstance(usage, dict) else {}
    return {"read": _count(told.get("prompt_tokens"), 1), "written": _count(told.get("completion_tokens"), int(wrote))}


def _count(said: Any, least: int) -> int | None:
    return said if isinstance(said, int) and not isinstance(said, bool) and said >= least else None
