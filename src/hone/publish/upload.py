"""The way to the Hub: which files go, and the upload. The door to huggingface_hub is `hone.model.hub_upload`."""

from pathlib import Path

from hone.core.errors import BadData, Usage
from hone.core.record import Record
from hone.model import metadata_of, send_folder
from hone.publish.cards import find_folder

__all__ = ["Upload", "files_to_upload", "upload_run"]

_LEFT_OUT = ("work", "runs", "__pycache__")  # what a run needs to go on
_ENDINGS = (".checkpoint", ".tmp", ".lock")


class Upload(Record):
    """What goes, or went, to the Hub."""

    repository: str
    files: dict[str, int]
    """Bytes by name."""
    url: str | None = None
    """Where it lies; None where nothing was sent."""


def files_to_upload(folder: Path) -> dict[str, int]:
    """Names and bytes of all that is passed on: never checkpoints, work or hidden files."""
    found = {}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        is_left = any(part in _LEFT_OUT or part.startswith(".") for part in inside.parts)
        if (
            path.is_file()
            and not path.is_symlink()
            and not is_left
            and ".checkpoint" not in path.name
            and path.suffix not in _ENDINGS
        ):
            found[inside.as_posix()] = path.stat().st_size
    return found


def upload_run(run: Path, repository: str, *, is_private: bool = True, is_dry: bool = False) -> Upload:
    """Create the repository and send the run's folder; with `is_dry` only say which files would go.

    Raises:
        BadData: no finished run, or a card that the Hub would refuse. Usage: no name of a repository.
        Failed: the Hub cannot be reached, or refuses.
    """
    if repository.count("/") != 1 or not all(part.strip() for part in repository.split("/")):
        raise Usage(f"'{repository}' is no name of a repository. Write user/name, such as mira/tickets-lora.")
    folder = find_folder(run)
    card = folder / "README.md"
    if not card.is_file():
        raise BadData(f"{folder} has no README.md. Write it with hone card {run}, read it, then push.")
    metadata_of(card.read_text(encoding="utf-8"))
    files = files_to_upload(folder)
    if is_dry:
        return Upload(repository=repository, files=files)
    return Upload(repository=repository, files=files, url=send_folder(folder, repository, list(files), is_private=is_private))
