"""The door to huggingface_hub for sending a folder; every failure becomes one clear line, and nothing here is changed by it."""

from collections.abc import Sequence
from pathlib import Path

from hone.core.errors import Failed

__all__ = ["send_folder"]


def send_folder(folder: Path, repository: str, files: Sequence[str], *, is_private: bool) -> str:
    """Create a repository where there is none, and upload these files of a folder in one commit.

    Returns:
        The repository's address.
    Raises:
        Failed: no network, no login, or the Hub refuses.
    """
    from huggingface_hub import HfApi, is_offline_mode
    from huggingface_hub.errors import HfHubHTTPError

    kept = f"Nothing is lost: {folder} is as it was."
    if is_offline_mode():
        raise Failed(f"HF_HUB_OFFLINE is set, so nothing was sent to {repository}. {kept} Unset it and push again.")
    api = HfApi()
    try:
        made = api.create_repo(repository, private=is_private, exist_ok=True)
        api.upload_folder(
            repo_id=repository, folder_path=folder, allow_patterns=list(files), commit_message="Upload a run of hone"
        )
    except HfHubHTTPError as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        login = " Log in with hf auth login, with a token that may write." if status in (401, 403) else ""
        raise Failed(f"The Hub refused {repository} (status {status}). {kept}{login}") from None
    except Exception as error:  # httpx, requests and huggingface_hub raise kinds of their own where nothing answers
        first = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise Failed(f"{repository} could not be sent to the Hub: {first}. {kept} Push again once there is a network.") from None
    return str(made)
