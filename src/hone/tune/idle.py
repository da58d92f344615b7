"""Options that would do nothing in this run: refused, since whoever names one expects something of it."""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from hone.core.errors import Usage, as_option
from hone.tune.settings import TuneSettings

__all__ = ["refuse_idle", "refuse_unread"]


class _Owner(NamedTuple):
    """What some options belong to."""

    options: tuple[str, ...]
    is_there: Callable[[TuneSettings], bool]
    said: str


_OWNERS = (
    _Owner(
        ("rank", "alpha", "dropout", "rslora", "dora", "lora_layers", "lora_plus"),
        lambda settings: settings.method == "lora",
        "--method lora",
    ),
    _Owner(("layers",), lambda settings: settings.method == "top", "--method top"),
    _Owner(("tokens",), lambda settings: settings.method in ("prompt", "prefix"), "--method prompt or prefix"),
    _Owner(("hold_strength",), lambda settings: settings.hold != "none", "--hold l2sp, ewc or kl"),
    _Owner(("replay_rate",), lambda settings: settings.replay is not None, "--replay FILE"),
    _Owner(("remember_rate", "remember_strength"), lambda settings: settings.remember == "self", "--remember self"),
    _Owner(("confidence",), lambda settings: settings.may_lose is not None, "--may-lose"),
    _Owner(("retain_items",), lambda settings: bool(settings.retain), "--retain"),
)


def refuse_idle(settings: TuneSettings, *, asked: Collection[str] | None = None) -> None:
    """Nothing, where every option has something to act on; what rows and model decide is `refuse_unread`'s.

    Args:
        asked: those that are looked at; None for all. A file's rank stands in nobody's way when it is run once with another method.
    Raises:
        Usage: options that belong to what the run does not do; all of them at once.
    """
    idle = [
        (_named(settings, [name for name in owner.options if asked is None or name in asked]), owner.said)
        for owner in _OWNERS
        if not owner.is_there(settings)
    ]
    told = [f"{_listed(names)} would do nothing without {said}." for names, said in idle if names]
    if told:
        raise Usage(" ".join([*told, "Leave out the one or add the other."]))


def refuse_unread(settings: TuneSettings, *, writes: bool, is_pair: bool, has_chat: bool) -> None:
    """Nothing, where rows and model have to do with prompts, answers and chat templates, or no option is about them.

    Args:
        writes: whether completions are learnt. is_pair: whether the model is an encoder-decoder. has_chat: whether its tokenizer has a
            chat template.
    Raises:
        Usage: options about prompts and answers that nobody would read.
    """
    if not writes:
        names = _named(settings, ("template", "chat", "train_on_prompt"))
        because = "is about prompts and written answers, and these rows have none"
    else:
        names = (*_named(settings, ("train_on_prompt",)), *(("--chat",) if settings.chat else ())) if is_pair else ()
        because = "is for decoders: an encoder-decoder has no chat template and writes its answers alone"
    if names:
        raise Usage(f"{_listed(names)} would do nothing: it {because}. Leave it out.")
    if writes and settings.chat and not has_chat:
        raise Usage(
            f"--chat asks for the model's chat template, and '{settings.model}' has none. Leave it out; --template says what is read."
        )
    is_whole = settings.template in (None, "{prompt}")  # so a mixture's prompts are
    if writes and not is_pair and has_chat and settings.chat is not False and not is_whole:
        raise Usage(
            f"--template would do nothing: '{settings.model}' reads prompts in its own chat template. Add --no-chat, or leave it out."
        )


def _named(settings: TuneSettings, names: Sequence[str]) -> tuple[str, ...]:
    """Those that differ from what holds where nothing is said, as options."""
    fields = TuneSettings.model_fields
    return tuple(as_option(name) for name in names if getattr(settings, name) != fields[name].default)


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
