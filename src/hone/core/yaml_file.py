"""YAML as it stands in a file: keys and values that know their lines."""

from pathlib import Path
from typing import Any

from hone.core.errors import Usage

__all__ = ["places_in", "read_yaml"]


def read_yaml(path: Path, *, such_as: str) -> Any:
    """The keys and values of a file, a mapping that remembers where each stands.

    Args:
        such_as: a line of such a file, for the message.
    Raises:
        Usage: it is not YAML, or holds something else than keys and values.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap
    from ruamel.yaml.error import YAMLError

    try:
        loaded = YAML(typ="rt").load(path.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        raise Usage(f"{path} is not valid YAML: {str(error).strip()}") from error
    if not isinstance(loaded, CommentedMap):
        raise Usage(f"{path} must hold keys and values, such as `{such_as}`.")
    return loaded


def places_in(mapping: Any, path: Path) -> dict[str, str]:
    """Where each key of a mapping stands, as the beginning of a message: 'tasks.yaml line 3: '."""
    return {str(key): f"{path} line {mapping.lc.key(key)[0] + 1}: " for key in mapping}
