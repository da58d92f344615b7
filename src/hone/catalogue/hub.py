"""What the Hub says today: downloads, licence, size and leaderboard entries of models, and a search.

The one place of the catalogue that uses a network. Nothing about the user goes out but the names or words that are looked up (and,
as everywhere on the Hub, the token that huggingface_hub finds). Without a network each question ends in one sentence, not in an error.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from hone.core.errors import Usage
from hone.core.record import Record

__all__ = ["HubAnswer", "HubModel", "HubScore", "look_up", "search_hub"]

_EXPAND = (
    "downloads", "likes", "gated", "tags", "cardData", "safetensors", "pipeline_tag", "lastModified", "createdAt", "evalResults"
)  # fmt: skip
_AT_ONCE = 8
_SECONDS = 5.0
_OFFLINE = "The Hub is not asked: HF_HUB_OFFLINE is set. Unset it to see downloads and live cards."
_UNREACHABLE = "The Hub cannot be reached: only what the catalogue holds is shown."


class HubScore(Record):
    """A leaderboard entry in a model's repository."""

    benchmark: str
    value: str
    source: str | None = None
    date: str | None = None


class HubModel(Record):
    """A model as the Hub describes it today. What its card leaves out is None or empty."""

    name: str
    downloads: int | None = None
    """In the last 30 days."""
    likes: int | None = None
    licence: str | None = None
    """The id in the card's metadata."""
    gated: bool | None = None
    parameters: int | None = None
    """As the header of its safetensors files counts them."""
    languages: tuple[str, ...] = ()
    task: str | None = None
    created: str | None = None
    modified: str | None = None
    """Dates, year-month-day."""
    base_models: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    scores: tuple[HubScore, ...] = ()

    @property
    def url(self) -> str:
        """Where its card stands."""
        return f"https://huggingface.co/{self.name}"


@dataclass(frozen=True)
class HubAnswer:
    """What came back, by name; and where something did not, one sentence that says why."""

    models: dict[str, HubModel]
    problem: str | None = None


def look_up(names: Sequence[str], *, endpoint: str | None = None, seconds: float = _SECONDS) -> HubAnswer:
    """Ask the Hub about models, several at once; what it does not have is left out of the answer.

    Args:
        endpoint: another Hub's address. seconds: longest wait for each.
    """
    from huggingface_hub import HfApi, is_offline_mode
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

    if is_offline_mode():
        return HubAnswer({}, _OFFLINE)
    api = HfApi(endpoint=endpoint)

    def ask(name: str) -> HubModel | str | None:
        try:
            return _model(api.model_info(name, expand=list(_EXPAND), timeout=seconds))
        except (RepositoryNotFoundError, HFValidationError):
            return None
        except Exception as error:  # a network fails in more ways than its library has names for
            return _reason(error)

    if not names:
        return HubAnswer({})
    first = ask(names[0])
    if isinstance(first, str):  # no reason to wait as long for each of the others
        return HubAnswer({}, first)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = [first, *pool.map(ask, names[1:])]
    models = {name: model for name, model in zip(names, found, strict=True) if isinstance(model, HubModel)}
    return HubAnswer(models, next((reason for reason in found if isinstance(reason, str)), None))


def search_hub(
    words: str, *, task: str | None = None, language: str | None = None, limit: int = 20, endpoint: str | None = None
) -> HubAnswer:
    """Models on the Hub whose names hold some words, the most downloaded first.

    Args:
        task: the Hub's own name of a task: 'summarization'. language: an ISO code.
    Raises:
        Usage: no words.
    """
    from huggingface_hub import constants, get_session, is_offline_mode
    from huggingface_hub.hf_api import ModelInfo
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    if not words.strip():
        raise Usage("There is nothing to search for. Write for example --search bert.")
    if is_offline_mode():
        return HubAnswer({}, _OFFLINE)
    asked = {"search": words.strip(), "filter": language, "pipeline_tag": task, "sort": "downloads", "limit": limit}
    try:
        # not HfApi.list_models, which asks again for 20 seconds where there is no network
        reply = get_session().get(
            f"{endpoint or constants.ENDPOINT}/api/models",
            params={name: value for name, value in asked.items() if value is not None} | {"expand": list(_EXPAND)},
            headers=build_hf_headers(),
            timeout=_SECONDS,
        )
        hf_raise_for_status(reply)
        return HubAnswer({one["id"]: _model(ModelInfo(**one)) for one in reply.json()})
    except Exception as error:
        return HubAnswer({}, _reason(error))


def _reason(error: Exception) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is None:
        return _UNREACHABLE
    return f"The Hub answered with an error (status {status}): only what the catalogue holds is shown."


def _model(info: Any) -> HubModel:
    """One answer of the Hub, with whatever it holds; other versions of the library name fewer fields."""
    card = info.card_data.to_dict() if getattr(info, "card_data", None) is not None else {}
    size = getattr(info, "safetensors", None)
    gated = getattr(info, "gated", None)
    return HubModel(
        name=info.id,
        downloads=getattr(info, "downloads", None),
        likes=getattr(info, "likes", None),
        licence=_text(card.get("license")) or _tagged(info, "license:"),
        gated=None if gated is None else bool(gated),
        parameters=None if size is None else size.total,
        languages=_texts(card.get("language")),
        task=getattr(info, "pipeline_tag", None),
        created=_day(getattr(info, "created_at", None)),
        modified=_day(getattr(info, "last_modified", None)),
        base_models=_texts(card.get("base_model")),
        datasets=_texts(card.get("datasets")),
        scores=tuple(
            HubScore(
                benchmark=f"{one.dataset_id} ({one.task_id})" if one.task_id else str(one.dataset_id),
                value=str(one.value),
                source=getattr(one, "source_url", None),
                date=_day(getattr(one, "date", None)),
            )
            for one in getattr(info, "eval_results", None) or []
        ),
    )


def _text(value: object) -> str | None:
    """One text, of a field that may be a list of one."""
    texts = _texts(value)
    return texts[0] if texts else None


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def _tagged(info: Any, prefix: str) -> str | None:
    return next((tag.removeprefix(prefix) for tag in getattr(info, "tags", None) or [] if tag.startswith(prefix)), None)


def _day(value: object) -> str | None:
    return None if value is None else str(value)[:10]
