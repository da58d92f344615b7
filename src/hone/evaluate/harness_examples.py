"""lm-evaluation-harness's own examples for tasks that are read from files.

BIG-Bench Hard's are solved step by step, and stand beside the harness's code.
"""

import importlib.util
import json
from pathlib import Path

from hone.core.yaml_file import read_yaml
from hone.evaluate.local_rows import Row

__all__ = ["bbh_configuration"]

_HUB = ("include", "task", "dataset_path", "dataset_name")  # what only says where the harness finds the rest


def bbh_configuration(name: str) -> Row | None:
    """The harness's configuration of a task of BIG-Bench Hard: how it is asked, examples, filter and metric; None where it has none."""
    found = importlib.util.find_spec("lm_eval")
    if found is None or not found.submodule_search_locations:
        return None
    path = Path(next(iter(found.submodule_search_locations))) / "tasks" / "bbh" / "cot_fewshot" / f"{name}.yaml"
    if not path.is_file():
        return None
    own = _read(path)
    if "include" in own:
        own = _read(path.with_name(own["include"])) | own
    if not own.get("fewshot_config", {}).get("samples"):
        return None
    return {key: value for key, value in own.items() if key not in _HUB}


def _read(path: Path) -> Row:
    plain: Row = json.loads(json.dumps(read_yaml(path, such_as="task: bbh_cot_fewshot_navigate")))
    return plain
