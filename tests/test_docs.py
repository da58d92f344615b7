"""The documents say what is there: the command page is the commands' own help, the README's Python runs, its tree is the tree."""

import importlib.util
import re
from pathlib import Path

from hone.strategy import STRATEGIES, TEXT_STRATEGIES

ROOT = Path(__file__).parents[1]


def test_the_command_page_is_what_the_commands_say():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == generate.command_reference(), "run: make docs"


def test_the_readme_python_runs_as_it_stands(tmp_path: Path, monkeypatch, capsys, starter):
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert code is not None
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    exec(compile(code[1], "README.md", "exec"), {})
    answers = [line.split()[0] for line in capsys.readouterr().out.splitlines()[-2:]]
    assert answers == ["delivery", "faulty"]
    assert (tmp_path / "report.html").exists()


def test_the_readme_tree_names_every_folder():
    tree = (ROOT / "README.md").read_text(encoding="utf-8").split("src/hone/\n")[1].split("```")[0]
    folders = {path.name for path in (ROOT / "src" / "hone").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert {line.split()[0].rstrip("/") for line in tree.splitlines() if line.strip()} == folders


def test_every_strategy_has_its_row():
    page = (ROOT / "docs" / "strategies.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in page or f"| `{name}`* |" in page for name in STRATEGIES)
    written = page.split("## Decoders and encoder-decoders")[1].split("**Options**")[0]
    assert all(f"`{name}`" in written for name in TEXT_STRATEGIES)
