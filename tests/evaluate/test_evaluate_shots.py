"""Solved examples before a question: how many there are is known before the model is loaded, and where there are none it is said."""

import json

import pytest

from hone.core.errors import Usage
from hone.evaluate.benchmark_records import EvalSettings
from hone.evaluate.benchmarks import run_benchmarks
from hone.evaluate.local_tasks import check_shots, find_local_tasks
from tiny import SENTENCES
from tiny_language import save_language_model


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Benchmarks of a few rows, two of them with examples to show."""
    folder = tmp_path_factory.mktemp("data")
    rows = [
        {"input": text, "question": text, "target": "late", "answer": f"late #### {at}"} for at, text in enumerate(SENTENCES[:7])
    ]
    for name, mine in (("bbh/navigate", rows), ("gsm8k/test", rows[:1]), ("gsm8k/train", rows[1:])):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in mine), encoding="utf-8")
    choice = {"query": "late", "choices": ["a", "b"], "gold": 0, "ctx": "late", "endings": ["a", "b"], "label": 0}
    (folder / "hellaswag").mkdir()
    for name in ("hellaswag/val", "mine"):
        (folder / f"{name}.jsonl").write_text(json.dumps(choice), encoding="utf-8")
    return folder


def test_more_examples_than_there_are_are_refused_before_the_model_is_loaded(data, tmp_path):
    """Seven rows of BIG-Bench Hard: the first three are shown, and gsm8k has six."""
    settings = EvalSettings(model="no/such", tasks=("bbh", "gsm8k", "mine"), data=str(data), shots=7, out=str(tmp_path / "run"))
    with pytest.raises(Usage, match=r"--shots 7 is more than there are: bbh_navigate has 3, gsm8k has 6\. Name fewer"):
        run_benchmarks(settings)
    assert not (tmp_path / "run").exists()


def test_tasks_without_examples_to_show_are_told(data, capsys):
    tasks = find_local_tasks(data, ("hellaswag", "bbh", "mine"))
    check_shots(tasks, 2)
    assert "Asked without examples, since the files hold none to show: hellaswag, mine." in capsys.readouterr().err
    for shots in (None, 0):
        check_shots(tasks, shots)
    assert capsys.readouterr().err == ""


def test_too_few_examples_of_the_harness_own_task_are_one_clear_error(data, tmp_path, monkeypatch):
    """As its bbh has: three examples, taken in order."""
    monkeypatch.setattr("hone.evaluate.benchmarks.check_shots", lambda tasks, shots: None)
    settings = EvalSettings(
        model=str(save_language_model(tmp_path / "llama", "llama")),
        tasks=("bbh",),
        data=str(data),
        shots=5,
        out=str(tmp_path / "run"),
    )
    with pytest.raises(Usage, match=r"--shots 5 is more than a task has examples to show .*exceeds the 3"):
        run_benchmarks(settings)
