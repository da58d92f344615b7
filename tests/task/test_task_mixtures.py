"""A mixture of tasks read from YAML: what is said becomes what is meant, and everything wrong is told at once, with its line."""

import pytest

from hone.core.errors import Usage
from hone.task import names_mixture, read_mixture


@pytest.fixture
def said(tmp_path):
    """`said(text)`: path of a YAML file beside two empty files of rows."""
    for name in ("news.jsonl", "mail.csv"):
        (tmp_path / name).write_text("")

    def write(text):
        path = tmp_path / "tasks.yaml"
        path.write_text(text)
        return str(path)

    return write


def test_what_is_left_out_has_the_values_of_the_paper(said, tmp_path):
    found = read_mixture(said("tasks:\n  - data: news.jsonl\n"))
    assert (found.settings.mixing, found.settings.cap, found.settings.held_out_templates) == ("proportional", 3000, 1)
    assert (found.formats.few_shot, found.formats.shots, found.settings.options) == (0.5, (1, 4), 0.5)
    assert [(task.name, task.data) for task in found.tasks] == [("news", str(tmp_path / "news.jsonl"))]


def test_everything_that_can_be_said_of_a_task_is_kept(said, tmp_path):
    found = read_mixture(
        said(
            "mixing: temperature\ntemperature: 3\ncap: 50\nformats: {few_shot: 0.25, shots: [2, 3]}\ntasks:\n"
            "  - {data: mail.csv, name: post, text: 'subject, body', label: team, words: {0: bad, 1: good}, weight: 2, limit: 40}\n"
            "  - {data: org/flowers, split: test, held_out: true, templates: [plain, own.toml]}\n"
        )
    )
    post, flowers = found.tasks
    assert (found.settings.mixing, found.settings.temperature, found.formats.shots) == ("temperature", 3.0, (2, 3))
    assert (post.name, post.text, post.label, post.words) == ("post", ("subject", "body"), "team", {"0": "bad", "1": "good"})
    assert (flowers.name, flowers.data, flowers.held_out) == ("flowers", "org/flowers:test", True)
    assert flowers.templates == ("plain", str(tmp_path / "own.toml"))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("mixng: equal\ntasks: [{data: news.jsonl}]", "line 1: key 'mixng' is not known. Did you mean 'mixing'?"),
        ("mixing: fair\ntasks: [{data: news.jsonl}]", "line 1: 'mixing' is 'fair'"),
        ("cap: 5", "'tasks' must be a list"),
        ("tasks:\n  - news.jsonl", "line 2: a task must hold keys and values"),
        ("tasks:\n  - data: news.jsonl\n    lable: x", "line 3: key 'lable' is not known. Did you mean 'label'?"),
        ("tasks:\n  - name: x", "line 2: 'data' is missing"),
        ("tasks: [{data: news.jsonl}]\nxyzxyz: 1", "evaluate. Known too: tasks, formats."),
        ("tasks:\n  - data: news.jsonl\n    weight: 0", "line 3: 'weight' is 0"),
        ("tasks:\n  - data: news.jsonl\n  - data: news.jsonl", "line 3: 2 tasks are called 'news'"),
        ("tasks:\n  - data: news.jsonl\n    held_out: true", "line 1: every task is held out"),
        (
            "tasks:\n  - data: mail.csv\n  - {data: news.jsonl, held_out: true, weight: 2}",
            "line 3: 'news' is held out, so it has no weight",
        ),
        ("tasks:\n  - {data: news.jsonl, split: test}", "line 2: 'split' is for data sets of the Hub"),
        (
            "tasks: [{data: news.jsonl}]\nformats:\n  few_short: 1",
            "line 3: key 'few_short' is not known. Did you mean 'few_shot'?",
        ),
        ("tasks: [{data: news.jsonl}]\nformats: {shots: [3, 1]}", "line 2: 'shots' is [3, 1]"),
        ("tasks: [{data: news.jsonl}]\nformats: 3", "line 2: 'formats' must hold few_shot and shots"),
        ("tasks: [{data: news.jsonl", "is not valid YAML"),
        ("- data: news.jsonl", "must hold keys and values"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text, wanted, said):
    with pytest.raises(Usage) as told:
        read_mixture(said(text))
    assert wanted in str(told.value)


def test_everything_wrong_is_told_at_once(said):
    with pytest.raises(Usage) as told:
        read_mixture(
            said(
                "cap: none\ntasks:\n  - {data: mail.csv, kind: poem}\n  - {data: news.jsonl, weigth: 2}\nformats: {few_shot: 2}\n"
            )
        )
    lines = str(told.value).splitlines()
    assert len(lines) == 4
    assert [int(line.split("line ")[1].split(":")[0]) for line in lines] == [3, 4, 5, 1]


def test_a_word_is_told_for_the_composed_label_that_rows_have(said):
    (task,) = read_mixture(said("tasks:\n  - {data: mail.csv, words: {cafe\u0301: a place}}\n")).tasks
    assert task.words == {"caf\u00e9": "a place"}


def test_no_file_is_told():
    with pytest.raises(Usage, match=r"There is no file of tasks nowhere\.yaml"):
        read_mixture("nowhere.yaml")


@pytest.mark.parametrize(
    ("source", "is_mixture"), [("a/tasks.yaml", True), ("T.YML", True), ("rows.jsonl", False), ("org/name", False)]
)
def test_a_mixture_is_known_by_its_ending(source, is_mixture):
    assert names_mixture(source) == is_mixture
