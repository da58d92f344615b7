"""How a remote server is asked: by which protocol, how many requests at once, how patiently, at what price."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from hone.core.errors import Usage
from hone.core.record import Record
from hone.model.spending import Price

__all__ = ["Api", "RemoteSettings", "for_a_server_only", "is_behind_server", "is_elsewhere", "server_settings"]

Api = Literal["chat", "completions"]
_SERVER, _ELSEWHERE = "openai:", ("openai:", "vllm:")


class RemoteSettings(Record):
    """Everything about a server but its address and the key, which is read from the environment and stored nowhere."""

    api: Api = "chat"
    """`chat`: prompts are a user's messages, in the server's own chat template; `completions`: they are the text itself."""
    extras: bool = False
    """Whether the server takes top_k, min_p and repetition_penalty, which OpenAI's protocol lacks; vLLM and SGLang do."""
    concurrency: int = Field(default=8, ge=1, le=256)
    """Requests at a time."""
    attempts: int = Field(default=6, ge=1)
    """Times a request is sent at most, where the server is busy, breaks or does not answer."""
    wait_seconds: float = Field(default=1.0, gt=0)
    """Before the second attempt; doubles with each."""
    longest_wait_seconds: float = Field(default=60.0, gt=0)
    """A server that asks for a longer wait is not waited for."""
    timeout_seconds: float = Field(default=120.0, gt=0)
    """For one answer, beside the time that a slow server takes to write the tokens asked for (20 a second)."""
    price: Price | None = None
    tokenizer: str | None = None
    """Folder of the model's tokenizer: counts tokens exactly, and with `completions` prompts are sent as its token ids."""
    context_length: int | None = Field(default=None, ge=2)
    """Tokens that the model reads; None: what the server says."""
    cache: Path | None = None
    """Folder in which every finished answer is kept."""


def is_behind_server(model: str) -> bool:
    """Whether a model's name asks for a server, whose answers may cost money."""
    return model.startswith(_SERVER)


def is_elsewhere(model: str) -> bool:
    """Whether a model's name asks for a server or for vLLM: it is asked in texts, and cannot be trained."""
    return model.startswith(_ELSEWHERE)


def for_a_server_only(model: str) -> Usage:
    """That a price and an API say nothing about a model that runs here."""
    return Usage(f"--price and --api are about a server, and '{model}' runs here. Leave them out, or name a model openai:NAME.")


def server_settings(model: str, *, api: Api, price: str | None, cache: Path | None = None) -> RemoteSettings | None:
    """Of the server behind `openai:NAME`; None for another model.

    Raises:
        Usage: the price is not two numbers.
    """
    if not is_behind_server(model):
        return None
    return RemoteSettings(api=api, price=Price.parse(price) if price else None, cache=cache)
