"""BIG-Bench Hard from files, asked with the harness's own step-by-step examples."""

import json

import datasets
import pytest
from lm_eval.tasks import TaskManager

from hone.evaluate.harness import configuration, quiet
from hone.evaluate.harness_examples import bbh_configuration
from hone.evaluate.local_tasks import check_shots, find_local_tasks

ROWS = [
    {"input": f"Turn left. Take {steps} steps.\nOptions:\n- Yes\n- No", "target": "No" if steps % 2 else "Yes"}
    for steps in range(5)
]
SAID = ["We turn. So the answer is Yes.", "So the answer is No.", "No", "the answer is No", "the answer is Yes. Really."]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    (folder / "bbh").mkdir()
    for name in ("navigate", "other"):
        (folder / "bbh" / f"{name}.jsonl").write_text("\n".join(map(json.dumps, ROWS)), encoding="utf-8")
    return folder


def marked(task):
    """Prompts and settings of all requests, and the scores of some answers."""
    task.build_all_requests(rank=0, world_size=1)
    for instance, said in zip(task.instances, SAID, strict=True):
        instance.resps = [said]
    task.apply_filters()
    taken = [instance.filtered_resps for instance in task.instances]
    return (
        [instance.args for instance in task.instances],
        taken,
        [task.process_results(one.doc, _of(one)) for one in task.instances],
    )


def _of(instance):
    ((_, answer),) = instance.filtered_resps.items()
    return [answer]


@pytest.mark.parametrize("shots", [None, 0, 2])
def test_questions_filters_and_scores_are_the_harness_own(shots, data, monkeypatch):
    local, _ = find_local_tasks(data, ("bbh",), own=bbh_configuration)
    check_shots([local], shots)
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: {"test": datasets.Dataset.from_list(ROWS)})
    with quiet():
        (ours,) = TaskManager(include_defaults=False).load(configuration(local, shots))["tasks"].values()
        (theirs,) = TaskManager().load("bbh_cot_fewshot_navigate")["tasks"].values()
        if shots is not None:
            theirs.set_config(key="num_fewshot", value=shots)
        found, wanted = marked(ours), marked(theirs)
    assert found == wanted
    assert len(found[0]) == len(ROWS)  # no row of the file stands as an example
    assert "Let's think step by step." in found[0][0][0] and found[0][0][1]["max_gen_toks"] == 1024
    assert [one["exact_match"] for one in found[2]] == [1, 1, 0, 0, 0]


def test_a_task_without_such_examples_is_asked_as_before_and_a_line_says_so(data, capsys):
    _, other = find_local_tasks(data, ("bbh",), own=bbh_configuration)
    assert "no examples of its own for bbh_other" in capsys.readouterr().err
    assert (len(other.shots), len(other.tests), other.own) == (3, 2, {})
    assert find_local_tasks(data, ("bbh_other",)) == [other] and not capsys.readouterr().err
