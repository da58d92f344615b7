"""One server on the network: JSON there and back, with patience where it is busy and clear words where it refuses.

The standard library's client suffices: one request gives one answer, nothing is streamed. Redirections are not followed, as the
key would travel with them. The key stands in one header and in no message, not even where the server repeats it.
"""

import email.utils
import http.client
import ipaddress
import json
import os
import random
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any, TypeVar

from hone.core.console import note, warn
from hone.core.errors import Failed, Usage
from hone.model.remote_settings import RemoteSettings

__all__ = ["KEY", "MALFORMED", "Endpoint", "Refusal", "Stopped"]

KEY = "OPENAI_API_KEY"
_BUSY = (408, 409, 425, 429)
_PATHS = ("/chat/completions", "/completions", "/models")
_LIMITS = ("max_tokens", "max_completion_tokens")
_PACE = 20  # tokens a second, which servers write at the least where several ask at once
_SHOWN = 300  # characters of what a server says
_OF_A_MODEL = ("max_model_len", "context_length", "context_window")  # as vLLM, OpenRouter and Groq name it
T = TypeVar("T")

MALFORMED = (KeyError, IndexError, TypeError, ValueError, AttributeError)
"""What reading an answer raises where the answer is not of the form that was asked for."""


class Refusal(Exception):
    """The server will not answer this request, however often it is asked."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"{status}: {said}")
        self.status, self.said = status, said


class Stopped(Exception):
    """Another request failed for good, so this one is no longer waited for."""


class _Trouble(Exception):
    """What may pass."""

    def __init__(self, what: str, *, status: int = 0, after: float | None = None, is_hopeless: bool = False) -> None:
        super().__init__(what)
        self.status, self.after, self.is_hopeless = status, after, is_hopeless


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """None makes the redirection an error."""


class Endpoint:
    """A server by its address."""

    def __init__(self, base_url: str, settings: RemoteSettings) -> None:
        """
        Raises:
            Usage: the address is none, or the key holds what no header may hold.
        """
        self.base_url = _checked(base_url)
        self._settings = settings
        self._key = os.environ.get(KEY, "").strip()
        if not all("!" <= letter <= "~" for letter in self._key):
            raise Usage(f"The key in {KEY} holds blanks or characters that no key holds. Set it again.")
        is_here = _is_here(urllib.parse.urlsplit(self.base_url).hostname or "")
        if self._key and not is_here and self.base_url.startswith("http:"):
            warn(f"{self.base_url} is not encrypted: the key and the prompts can be read on the way. Prefer https.")
        handlers: list[urllib.request.BaseHandler] = [_NoRedirection()]
        if is_here:
            handlers.append(urllib.request.ProxyHandler({}))  # no proxy reaches this machine
        self._opener = urllib.request.build_opener(*handlers)
        self._stopped = threading.Event()
        self._told: set[tuple[str, int]] = set()
        self._lock = threading.Lock()
        self._has_answered = False

    def __repr__(self) -> str:
        return f"Endpoint({self.base_url!r})"

    def start(self) -> None:
        """Forget an earlier `stop`."""
        self._stopped.clear()

    def stop(self) -> None:
        """End all waiting: what is being asked ends as `Stopped` where it would have been asked again."""
        self._stopped.set()

    def ask(
        self,
        path: str,
        body: dict[str, Any] | None,
        read: Callable[[dict[str, Any]], T],
        *,
        attempts: int = 0,
        final: tuple[int, ...] = (),
    ) -> T:
        """What `read` makes of the server's answer; a request without a body is a GET.

        Args:
            read: raises one of MALFORMED where the answer lacks something; it is then asked for again.
            attempts: 0 for the settings'. final: statuses that are a refusal here, though elsewhere they pass.
        Raises:
            Refusal: the server refuses the request. Failed: it was busy, broken or away for too long. Stopped: see `stop`.
        """
        most = attempts or self._settings.attempts
        for attempt in range(1, most + 1):
            if self._stopped.is_set():
                raise Stopped
            try:
                found = read(self._once(path, body))
                self._has_answered = True
                return found
            except MALFORMED as error:
                trouble = _Trouble(f"gives an answer that lacks something ({type(error).__name__}: {self._safe(str(error))})")
            except _Trouble as error:
                if error.status in final:
                    raise Refusal(error.status, str(error)) from None
                trouble = error
            wait = self._wait(attempt, trouble.after)
            if attempt == most or trouble.is_hopeless or wait > self._settings.longest_wait_seconds:
                asked = f" It asks for a wait of {wait:,.0f} s." if wait > self._settings.longest_wait_seconds else ""
                times = "once" if attempt == 1 else f"{attempt} times"
                raise Failed(f"{self.base_url}{path} {trouble}. It was asked {times}.{asked}")
            self._tell(str(trouble), attempt, most, wait)
            self._stopped.wait(wait)
        raise AssertionError("attempts is at least 1")

    def explained(self, refusal: Refusal, *, model: str, path: str) -> Usage:
        """A refusal as an error for the user, with the server's own words and what to do."""
        where, said = f"{self.base_url}{path}", f"{refusal.status}: {refusal.said}"
        if refusal.status in (401, 403):
            hold = f"The key in {KEY} does not open it" if self._key else f"No key was sent, as {KEY} is not set"
            return Usage(f"{where} refuses access ({said}). {hold}. Set {KEY} to a key of this server.")
        if refusal.status in (404, 405):
            return Usage(
                f"{where} knows no such model or address ({said}). The model is '{model}'; an address usually ends in /v1. "
                f"Look at {self.base_url}/models for the names it knows, and check --model and --base-url."
            )
        if 300 <= refusal.status < 400:
            return Usage(f"{where} sends elsewhere ({said}), and the key is not sent there. Name that address with --base-url.")
        return Usage(f"{where} refuses the request ({said}). Change what it names and run again.")

    def context_length(self, model: str) -> int | None:
        """Tokens that a model reads, where the server's list of models says so."""

        def read(found: dict[str, Any]) -> int | None:
            mine: dict[str, Any] = next((entry for entry in found["data"] if entry.get("id") == model), {})
            said = next((mine[name] for name in _OF_A_MODEL if mine.get(name)), None)
            return None if said is None else int(said)

        try:
            return self.ask("/models", None, read, attempts=1)
        except (Refusal, Failed, Stopped):
            return None

    def _once(self, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "hone"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        request = urllib.request.Request(self.base_url + path, data=data, headers=headers)
        patience = self._patience(body or {})
        try:
            with self._opener.open(request, timeout=patience) as answer:
                raw = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(error) from None
        except (OSError, http.client.HTTPException) as error:
            raise self._unreached(error, patience) from None
        try:
            found = json.loads(raw)
        except ValueError:
            if raw.lstrip().startswith(b"<") and not self._has_answered:
                raise _Trouble(
                    "gives a web page, so no model answers at this address; it usually ends in /v1. Check --base-url",
                    is_hopeless=True,
                ) from None
            raise _Trouble(f"gives no JSON but {self._safe(raw.decode('utf-8', 'replace'))!r}") from None
        if not isinstance(found, dict):
            raise _Trouble(f"gives no JSON object but {self._safe(str(found))!r}")
        if found.get("error"):  # some proxies answer 200 with an error in it
            raise _Trouble(f"answers with an error ({self._safe(_message(found))})")
        return found

    def _refused(self, error: urllib.error.HTTPError) -> Exception:
        try:
            raw = error.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            raw = ""
        try:
            found = json.loads(raw)
            said, code = _message(found), _code(found)
        except ValueError:
            said, code = raw, ""
        said = self._safe(said) or error.reason
        if 300 <= error.code < 400:
            said = f"to {self._safe(error.headers.get('Location', 'nowhere'))}"
        if code == "insufficient_quota":  # a 429 that no waiting mends
            return _Trouble(f"has no credit left for this key ({error.code}: {said})", is_hopeless=True)
        if error.code in _BUSY or (error.code >= 500 and error.code != 501):
            after = _seconds(error.headers.get("Retry-After"))
            return _Trouble(f"answers {error.code} ({said})", status=error.code, after=after)
        return Refusal(error.code, said)

    def _patience(self, body: dict[str, Any]) -> float:
        """Seconds that an answer may take: one given up while it is written, such as behind long thoughts, is paid for all the same."""
        tokens = next((int(body[name]) for name in _LIMITS if name in body), 0)
        return self._settings.timeout_seconds + tokens / _PACE

    def _unreached(self, error: Exception, patience: float) -> _Trouble:
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError):
            return _Trouble(f"gave no answer in {patience:,.0f} s")
        said = self._safe(str(reason) or type(reason).__name__)
        if isinstance(reason, http.client.IncompleteRead):
            return _Trouble(f"breaks off in the middle of an answer ({said})")
        never = not self._has_answered  # a wrong address rather than a server that stumbled
        return _Trouble(f"cannot be reached ({said})", is_hopeless=never and not isinstance(reason, ConnectionResetError))

    def _wait(self, attempt: int, after: float | None) -> float:
        if after is not None:
            return after
        longest = self._settings.wait_seconds * 2.0 ** (attempt - 1)
        return min(longest, self._settings.longest_wait_seconds) * random.uniform(
            0.5, 1
        )  # so that threads do not return together

    def _tell(self, what: str, attempt: int, most: int, wait: float) -> None:
        with self._lock:
            if (what, attempt) in self._told:
                return
            self._told.add((what, attempt))
        note(f"{self.base_url} {what}; asked again in {wait:.1f} s (attempt {attempt + 1} of {most}).")

    def _safe(self, text: str) -> str:
        """What a server said, on one line, without the key."""
        text = " ".join(text.split())
        if self._key:
            text = text.replace(self._key, "***")
        return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _checked(base_url: str) -> str:
    parts = urllib.parse.urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or not base_url.isascii() or " " in base_url:
        raise Usage(f"--base-url {base_url!r} is no address. Give one such as http://localhost:8000/v1.")
    if parts.username or parts.password:
        raise Usage(f"--base-url holds a name or a password, which would be stored with the run. Leave them out and set {KEY}.")
    path = base_url.rstrip("/")
    if path.endswith(_PATHS):
        raise Usage(
            f"--base-url {base_url!r} ends in the path of a request, which hone adds. End it before that, such as at /v1."
        )
    if parts.query or parts.fragment:
        raise Usage(f"--base-url {base_url!r} goes on after its path, and a request's own path follows there. End it at /v1.")
    return path


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _message(found: Any) -> str:
    """The words of an error in the forms that servers give it."""
    inner = found.get("error", found) if isinstance(found, dict) else found
    if isinstance(inner, dict):
        inner = inner.get("message") or inner.get("detail") or inner
    return str(inner)


def _code(found: Any) -> str:
    inner = found.get("error") if isinstance(found, dict) else None
    return str(inner.get("code") or inner.get("type") or "") if isinstance(inner, dict) else ""


def _seconds(text: str | None) -> float | None:
    """A Retry-After header: seconds, or a date (RFC 9110, section 10.2.3)."""
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None
