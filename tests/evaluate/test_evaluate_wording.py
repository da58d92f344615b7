"""Benchmarks from files are asked in the words of lm-evaluation-harness's own tasks: its questions, with the Hub replaced by the same rows."""

import json

import pytest

from hone.evaluate.harness import configuration, quiet
from hone.evaluate.local_tasks import find_local_tasks

CHOICES = {"text": ["iron", "wood"], "label": ["A", "B"]}
MMLU = {
    "question": "Who is late?",
    **dict(zip("ABCD", ("he", "she", "it", "they"), strict=True)),
    "answer": "C",
    "subject": "virology",
}
BLANK = "Please choose the right answer for the given sentence: Ann met Eve as _ left.\n\nOption1: Ann Option2: Eve Answer format: option1"
TASKS = {
    # Name here: its row as files hold it; the harness's name; its row as the Hub holds it.
    "blimp": ({"sentence_good": "Cats sleep.", "sentence_bad": "Cats sleeps."}, "blimp_adjunct_island", None),
    "arc_easy": (
        {"query": "Question: What is hard?", "choices": CHOICES["text"], "gold": 0},
        "arc_easy",
        {"question": "What is hard?", "choices": CHOICES, "answerKey": "A"},
    ),
    "openbookqa": (
        {"Question Stem": "What is hard?", "Choices": "(A) iron (B) wood", "Answer Key": "A"},
        "openbookqa",
        {"question_stem": "What is hard?", "choices": CHOICES, "answerKey": "A"},
    ),
    "winogrande": (
        {"instruction": BLANK, "answer": "option2"},
        "winogrande",
        {"sentence": "Ann met Eve as _ left.", "option1": "Ann", "option2": "Eve", "answer": "2"},
    ),
    "glue_cola": ({"sentence": "Cats sleep.", "label": "1"}, "cola", {"sentence": "Cats sleep.", "label": 1}),
    "glue_mrpc": (
        {"#1 String": "He left.", "#2 String": "He went.", "Quality": "1"},
        "mrpc",
        {"sentence1": "He left.", "sentence2": "He went.", "label": 1},
    ),
    "glue_qnli": (
        {"question": "Who?", "sentence": "He did.", "label": "not_entailment"},
        "qnli",
        {"question": "Who?", "sentence": "He did.", "label": 1},
    ),
    "sst2": ({"text": "a fine film", "label": 1}, "sst2", {"sentence": "a fine film", "label": 1}),
    "superglue_boolq": (
        {"passage": "He left.", "question": "did he leave", "label": "true"},
        "boolq",
        {"passage": "He left.", "question": "did he leave", "label": 1},
    ),
    "superglue_cb": (
        {"premise": "He left.", "hypothesis": "he stayed", "label": "contradiction"},
        "cb",
        {"premise": "He left.", "hypothesis": "he stayed", "label": 1},
    ),
    "lambada": ({"context": "He said", "continuation": "yes"}, "lambada_openai", {"text": "He said yes"}),
    "gsm8k": ({"question": "1 + 1?", "answer": "2\n#### 2"}, "gsm8k", None),
    "mmlu": (MMLU, "mmlu_virology", {"question": MMLU["question"], "choices": ["he", "she", "it", "they"], "answer": 2}),
}
FILES = {
    "arc_easy": "test",
    "openbookqa": "test",
    "winogrande": "test",
    "glue_mrpc": "test",
    "lambada": "test",
    "gsm8k": "test",
    "mmlu": "test",
}


@pytest.fixture(scope="module")
def manager():
    from lm_eval.tasks import TaskManager

    with quiet():
        return TaskManager()


@pytest.mark.parametrize("name", TASKS)
def test_a_question_from_a_file_is_put_as_the_harness_puts_it(name, manager, tmp_path, monkeypatch):
    from datasets import Dataset, DatasetDict
    from lm_eval.api import task as harness_task
    from lm_eval.tasks import TaskManager

    row, their_name, their_row = TASKS[name]
    (tmp_path / name).mkdir()
    (tmp_path / name / f"{FILES.get(name, 'dev' if name.startswith(('glue', 'sst2')) else 'val')}.jsonl").write_text(
        "\n".join([json.dumps(row)] * 6),
        encoding="utf-8",  # gsm8k shows the first five
    )
    rows = Dataset.from_list([their_row or row])
    splits = DatasetDict(dict.fromkeys(("train", "validation", "test", "dev"), rows))
    monkeypatch.setattr(harness_task.datasets, "load_dataset", lambda *_, **__: splits)
    (local,) = find_local_tasks(tmp_path, (name,))
    asked = []
    with quiet():
        for way, task in ((manager, their_name), (TaskManager(include_defaults=False), configuration(local, 0))):
            (found,) = way.load(task)["tasks"].values()
            found.set_config(key="num_fewshot", value=0)
            found.build_all_requests(limit=1, rank=0, world_size=1)
            settings = ("until", "do_sample") if found.OUTPUT_TYPE == "generate_until" else ()
            asked.append(
                [
                    one.args if not settings else (one.args[0], {key: one.args[1][key] for key in settings})
                    for one in found.instances
                ]
            )
    assert asked[1] == asked[0]
