"""`hone tune tasks.yaml`: many tasks train one model, what is held out never trains, and the table tells what came of it."""

import json
import random
from collections import Counter

import pytest

from hone.catalogue import locate_model
from hone.cli.main import run
from hone.core.console import set_quiet
from hone.core.errors import BadData, Failed, Usage
from hone.evaluate import find_tasks
from hone.model import family, load_reader, read_config
from hone.tune import TuneRecord, TuneSettings, mask_preview, tune_rows
from hone.tune.task_scores import answer_sheets, make_sheets
from hone.tune.tasks import open_tasks, put_tasks, putter_for
from killed import run_whole_and_killed
from tiny import SENTENCES

WORDS = sorted({word.strip(",!?") for text in SENTENCES for word in text.split()})
SECRET = "in the rain, all is wet"


def spoken(count, seed):
    """Texts of four words, each once."""
    rng = random.Random(seed)
    found = {}
    while len(found) < count:
        found[" ".join(rng.sample(WORDS, 4))] = None
    return list(found)


def topics(count=60, seed=1, ends=("late", "refund")):
    return [{"text": f"{text} {ends[n % 2]}", "label": ends[n % 2]} for n, text in enumerate(spoken(count, seed))]


def echoes(count=60, seed=2):
    return [{"dialogue": text, "summary": text.split()[0]} for text in spoken(count, seed)]


def choices(count=40, seed=3):
    return [
        {"question": f"{text} {('box', 'money')[n % 2]}", "choices": ["money", "box"], "answer": 1 - n % 2}
        for n, text in enumerate(spoken(count, seed))
    ]


def passages(count=30, seed=4):
    return [
        {"question": "where is it", "context": f"the box {text}", "answers": {"text": ["box"], "answer_start": [4]}}
        for text in spoken(count, seed)
    ]


KINDS = {
    "topics": topics(),
    "echoes": echoes(),
    "choices": choices(),
    "passages": passages(),
    "pairs": [{"prompt": text, "completion": "it is late"} for text in spoken(30, 5)],
    "talks": [
        {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "it is late"}]}
        for text in spoken(30, 6)
    ],
    "orders": [{"instruction": text, "output": "it is late"} for text in spoken(30, 7)],
    "tongues": [{"de": text, "en": text.split()[1]} for text in spoken(30, 8)],
}


@pytest.fixture
def mixture(tmp_path):
    """`mixture(text, name=rows)`: path of a YAML file beside files of rows."""

    def write(text, **files):
        for name, rows in (KINDS | files).items():
            (tmp_path / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
        path = tmp_path / "tasks.yaml"
        path.write_text(text)
        return str(path)

    return write


def settings(data, model, out="unused", **more):
    usual = {
        "method": "full",
        "steps": 6,
        "batch_rows": 4,
        "precision": "fp32",
        "evaluations": 1,
        "learning_rate": 3e-3,
        "retain": (),
    }
    return TuneSettings(data=data, model=model, out=str(out), **(usual | more))


def prepared(asked):
    """What a run would train on: the open tasks, and the put ones, with a spy on every prompt."""
    opened = open_tasks(asked)
    folder = locate_model(asked.model)
    reader = load_reader(folder, precision="fp32")
    reader.context_length = 10_000  # nothing is cut
    putter = putter_for(asked, opened, family(read_config(folder)), reader)
    return opened, putter, reader


EVERY = "tasks:\n" + "".join(
    f"  - {{data: {name}.jsonl{', prompt: de, completion: en' if name == 'tongues' else ''}}}\n" for name in KINDS
)


# learning


@pytest.mark.parametrize("kind", ["llama", "t5"])
def test_two_tasks_are_learnt_by_one_model(kind, mixture, model, tmp_path):
    """Rows that did not train are answered far better than before, in both tasks; the record and the folder say the same."""
    (tmp_path / "own.toml").write_text(
        'shape = "classification"\n[[template]]\nname = "bare"\nprompt = "{{ text }}"\nseparator = " "\n'
        '[[template]]\nname = "back"\nshape = "text-to-text"\nprompt = "my {{ text }}"\nseparator = " "\n'
    )
    data = mixture(
        "formats: {few_shot: 0.1, shots: [1, 1]}\nevaluate: 40\nheld_out_templates: 0\nmixing: equal\ntasks:\n"
        "  - {data: topics.jsonl, templates: [bare.toml]}\n  - {data: last.jsonl, templates: [back.toml]}\n",
        topics=topics(300),
        last=[
            {"source": f"{text} {('box', 'money')[n % 2]}", "target": ("rain", "depot")[n % 2]}
            for n, text in enumerate(spoken(300, 9))
        ],
    )
    for name, at in (("bare", 0), ("back", 1)):
        heading, *templates = (tmp_path / "own.toml").read_text().split("[[template]]")
        (tmp_path / f"{name}.toml").write_text(f"{heading}[[template]]{templates[at]}")
    done = tune_rows(settings(data, model(kind), tmp_path / "run", steps=350, batch_rows=16))
    assert done.objective == "completion"
    assert done.loss < done.base_loss
    scores = {(score.task, score.asked): score for score in done.mixture.scores}
    assert scores.keys() == {("topics", "trained"), ("last", "trained")}
    chosen, written = scores["topics", "trained"], scores["last", "trained"]
    assert (chosen.metric, chosen.chance, written.metric, written.chance) == ("accuracy", 0.5, "exact_match", None)
    assert chosen.after > 0.85 and chosen.is_above_chance and chosen.low <= chosen.after <= chosen.high
    assert written.after > 0.85 and written.is_better and written.before < 0.1
    assert TuneRecord.model_validate_json((tmp_path / "run" / "hone.json").read_text()) == done
    lines = [json.loads(line) for line in (tmp_path / "run" / "answers.jsonl").read_text().splitlines()]
    mine = [line for line in lines if line["task"] == "topics"]
    assert sum(line["tuned"] == line["right"] for line in mine) / len(mine) == pytest.approx(chosen.after)
    assert "| topics | templates that trained |" in (tmp_path / "run" / "README.md").read_text()
    with pytest.raises(Usage, match="learnt several tasks"):
        find_tasks([str(tmp_path / "run")])


@pytest.mark.parametrize("kind", ["llama", "gpt2", "t5", "bart"])
def test_every_kind_of_rows_trains_every_model_that_writes(kind, mixture, model, tmp_path):
    done = tune_rows(settings(mixture(EVERY), model(kind), tmp_path / "run", method="lora", learning_rate=1e-3))
    shapes = {task.name: (task.kind, task.shape) for task in done.mixture.tasks}
    assert shapes == {
        "topics": ("classify", "classification"),
        "echoes": ("completion", "summarization"),
        "choices": ("choice", "multiple-choice"),
        "passages": ("answers", "question-answering"),
        "pairs": ("completion", "text-to-text"),
        "talks": ("chat", "instruction"),
        "orders": ("completion", "instruction"),
        "tongues": ("completion", "translation"),
    }
    assert sum(task.share for task in done.mixture.tasks) == pytest.approx(1)
    assert {score.metric for score in done.mixture.scores} == {"accuracy", "rougeL", "token_f1", "exact_match", "chrf"}
    for score in done.mixture.scores:
        assert score.low <= score.after <= score.high and score.gain_low <= score.after - score.before <= score.gain_high


def test_scoring_leaves_the_network_as_it_was(mixture, model, tmp_path):
    """The same run with and without answers before it ends with the same loss."""
    data = mixture(EVERY)
    with_answers, without = (tune_rows(settings(data, model("llama"), tmp_path / str(n), answers=n, steps=10)) for n in (32, 0))
    assert with_answers.loss == without.loss
    assert with_answers.mixture.scores and not without.mixture.scores
    assert not (tmp_path / "0" / "answers.jsonl").exists()


def test_an_option_is_chosen_by_its_likelihood(mixture, model):
    """The table's answers equal those of scoring each option by hand with transformers."""
    import torch
    from transformers import AutoModelForCausalLM

    from hone.model import load_language_model

    asked = settings(mixture("tasks:\n  - data: choices.jsonl\n"), model("llama"))
    opened, putter, reader = prepared(asked)
    reader.context_length = 64
    net = load_language_model(locate_model(asked.model), "causal", pad_id=0)
    sheet = make_sheets(opened.tasks, putter)[0]
    found = answer_sheets(net, reader, putter, [sheet], is_tuned=False, title="")[0]
    theirs = AutoModelForCausalLM.from_pretrained(asked.model).eval()
    for row, put in enumerate(sheet.puts):
        sums = []
        for option in put.row.options:
            before = [1, *reader.tokenizer(put.prompt, add_special_tokens=False)["input_ids"]]
            after = reader.tokenizer(putter.written(put, option), add_special_tokens=False)["input_ids"]
            with torch.no_grad():
                logs = theirs(torch.tensor([before + after])).logits[0].log_softmax(-1)
            sums.append(sum(logs[len(before) + at - 1, token].item() for at, token in enumerate(after)))
        likeliest = [at for at, value in enumerate(sums) if value == max(sums)]
        assert int(found.predicted[row]) in likeliest and found.is_open[row] == (len(likeliest) > 1)


# what trains and what does not


def trained_puts(asked):
    opened, putter, _ = prepared(asked)
    return opened, {
        task.name: [put for copy in range(4) for put in putter.train(task, copy=copy)]
        for task in opened.tasks
        if not task.is_held_out
    }


def test_a_held_out_template_never_trains(mixture, model):
    opened, put = trained_puts(settings(mixture(f"held_out_templates: 2\n{EVERY}"), model("llama")))
    for task in opened.tasks:
        used = {one.template.id for one in put[task.name]}
        unseen = {template.id for template in task.unseen}
        assert used == {template.id for template in (*task.trained, *task.inverted)}
        assert not used & unseen
        assert len(unseen) == (0 if task.name == "pairs" else 2)


def test_solved_examples_are_training_rows_of_the_same_task_and_never_evaluated_ones(mixture, model):
    opened, put = trained_puts(
        settings(mixture(f"formats: {{few_shot: 1.0, shots: [2, 3]}}\ninversion: 0\n{EVERY}"), model("llama"))
    )
    evaluated = {row.text for task in opened.tasks for row in task.evaluated}
    for task in opened.tasks:
        train = {row.text for row in task.train}
        assert not train & evaluated
        for one in put[task.name]:
            assert 2 <= len(one.shots) <= 3
            shown = [shot.text for shot in one.shots]
            assert set(shown) <= train - {one.row.text} and len(set(shown)) == len(shown)
            assert not any(text in one.prompt for text in evaluated)


def test_prompts_are_of_each_kind_in_the_shares_that_are_asked_for(mixture, model):
    data = mixture(
        "formats: {few_shot: 0.3, shots: [1, 2]}\noptions: 0.8\ninversion: 0.2\ntasks: [{data: topics.jsonl}]\n",
        topics=topics(900),
    )
    _, put = trained_puts(settings(data, model("llama")))
    plain = [one for one in put["topics"] if not one.template.is_inverted]
    assert 1 - len(plain) / len(put["topics"]) == pytest.approx(0.2, abs=0.03)
    assert sum(bool(one.shots) for one in plain) / len(plain) == pytest.approx(0.3, abs=0.03)
    assert sum(one.template.shows_options for one in plain) / len(plain) == pytest.approx(0.8, abs=0.03)
    counts = Counter(len(one.shots) for one in plain)
    assert counts[1] / counts[2] == pytest.approx(1, abs=0.25)


def test_a_held_out_task_takes_no_part_in_training(mixture, model, tmp_path):
    data = mixture(
        "tasks:\n  - data: topics.jsonl\n  - {data: other.jsonl, held_out: true}\n", other=topics(20, 11, (SECRET, "box"))
    )
    asked = settings(data, model("llama"), tmp_path / "run")
    _, put = trained_puts(asked)
    assert put.keys() == {"topics"}
    assert not any(SECRET in one.prompt + one.completion for one in put["topics"])
    done = tune_rows(asked)
    assert done.effective_epochs.keys() == {"topics"}
    assert [(score.task, score.asked, score.n) for score in done.mixture.scores][-1] == ("other", "held_out", 20)


def test_a_row_that_some_task_is_evaluated_on_trains_in_none(mixture, model):
    """The same texts, written otherwise and with other labels, in a held-out task; the question of a choice counts with its choices."""
    shared = [{"text": row["text"].upper(), "label": "box"} for row in topics()[:7]] + [
        {"text": "it is wet", "label": "rain"}
    ] * 3
    data = mixture(
        "tasks:\n  - data: topics.jsonl\n  - {data: other.jsonl, held_out: true}\n  - data: choices.jsonl\n", other=shared
    )
    opened = open_tasks(settings(data, model("llama")))
    mine, other, picked = opened.tasks
    assert len(other.evaluated) == 8 and other.repeated == 2
    known = {row.text.casefold() for row in other.evaluated}
    assert not known & {row.text.casefold() for row in mine.train}
    assert mine.leaked + sum(row.text.casefold() in known for row in mine.evaluated) == 7
    assert mine.leaked > 0 and picked.leaked == 0


def test_shares_and_passes_follow_from_the_file(mixture, model, tmp_path):
    data = mixture("mixing: proportional\ncap: 27\ntasks:\n  - data: topics.jsonl\n  - {data: choices.jsonl, weight: 2}\n")
    done = tune_rows(settings(data, model("llama"), tmp_path / "run", steps=None, epochs=2.0, answers=0))
    assert {task.name: task.train for task in done.mixture.tasks} == {"topics": 54, "choices": 36}
    assert {task.name: task.share for task in done.mixture.tasks} == pytest.approx({"topics": 1 / 3, "choices": 2 / 3})
    draws = 2 * (27 + 27)
    assert done.training.examples_seen == pytest.approx(draws, abs=4)
    assert done.effective_epochs == pytest.approx({"topics": draws / 3 / 54, "choices": 2 * draws / 3 / 36}, rel=0.05)


def test_long_rows_keep_the_question_and_fit_the_context(mixture, model):
    """Solved examples go first; then the text gives way, and never the words around it."""
    long = [{"text": " ".join([text] * 40), "label": ("late", "refund")[n % 2]} for n, text in enumerate(spoken(40, 12))]
    asked = settings(mixture("tasks: [{data: topics.jsonl}]\ninversion: 0\n", topics=long), model("t5"))
    opened, putter, reader = prepared(asked)
    reader.context_length = 64
    task = opened.tasks[0]
    for one in (*putter.train(task), *putter.ask(task, task.unseen, rows=task.evaluated)):
        assert reader.count_tokens([one.prompt])[0] <= 64
        assert one.is_cut and not one.shots
        around = one.template.render("@@@", options=one.row.options).split("@@@")
        assert one.prompt.startswith(around[0]) and one.prompt.endswith(around[1])


def test_many_classes_are_not_listed_where_they_would_fill_the_context(mixture, model):
    many = [{"text": text, "label": f"{WORDS[n % 40]} {WORDS[n % 40 + 1]}"} for n, text in enumerate(spoken(400, 13))]
    asked = settings(mixture("tasks: [{data: topics.jsonl}]\n", topics=many), model("llama"))
    opened, putter, reader = prepared(asked)
    assert any(one.template.shows_options for one in putter.train(opened.tasks[0]))
    reader.context_length = 64
    assert not any(one.template.shows_options for one in putter.train(opened.tasks[0]))


def test_the_words_of_classes_stand_in_prompts(mixture, model):
    data = mixture(
        'tasks:\n  - {data: topics.jsonl, words: {"0": money back, "1": too late}}\n',
        topics=[row | {"label": n % 2} for n, row in enumerate(topics())],
    )
    opened, put = trained_puts(settings(data, model("llama")))
    assert opened.tasks[0].evaluated[0].options == ("money back", "too late")
    assert {one.completion.strip() for one in put["topics"] if not one.template.is_inverted} == {"money back", "too late"}


# again and again


def test_what_is_put_depends_on_the_seed_alone(mixture, model):
    data = mixture(EVERY)
    first, again, other = (trained_puts(settings(data, model("llama"), seed=seed))[1] for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_a_killed_run_goes_on_and_ends_the_same(mixture, model, tmp_path):
    """kill -9 in the middle of the training; the same command again gives the same parameters, bit for bit, and the same table."""
    data = mixture("evaluate: 2\ntasks: [{data: topics.jsonl}, {data: echoes.jsonl}, {data: choices.jsonl, held_out: true}]\n")
    arguments = [
        "tune",
        data,
        "--model",
        model("llama"),
        "--method",
        "full",
        "--steps",
        "120",
        "--batch-rows",
        "4",
        "--precision",
        "fp32",
    ]
    whole, resumed = run_whole_and_killed(arguments, tmp_path, after=20)
    assert (whole / "model.safetensors").read_bytes() == (resumed / "model.safetensors").read_bytes()
    scores = [TuneRecord.model_validate_json((folder / "hone.json").read_text()).mixture.scores for folder in (whole, resumed)]
    assert scores[0] == scores[1]


def test_a_run_that_leaves_its_course_names_rows_of_its_tasks(mixture, model, tmp_path):
    data = mixture("tasks:\n  - {data: topics.jsonl}\n  - {data: choices.jsonl}\n")
    with pytest.raises(Failed, match=r"the batch of \S*(topics|choices)\.jsonl lines? \d+"):
        tune_rows(settings(data, model("llama"), tmp_path / "run", learning_rate=1e38, warmup=0.0))


def test_another_mixture_is_another_run(mixture, model, tmp_path):
    text = "tasks: [{data: topics.jsonl}, {data: echoes.jsonl}]\n"
    tune_rows(settings(mixture(text), model("llama"), tmp_path / "run", steps=2, answers=0))
    with pytest.raises(Usage, match="holds a run with other rows or settings"):
        tune_rows(settings(mixture(f"mixing: equal\n{text}"), model("llama"), tmp_path / "run", steps=2, answers=0))


# what is told


def test_check_shows_each_task_with_a_prompt_for_each_template(mixture, capsys):
    data = mixture(f"{EVERY}  - {{data: other.jsonl, held_out: true}}\n", other=topics(20, 11, ("rain", "box")))
    assert run(["check", data]) == 0
    page = capsys.readouterr().out
    assert "8 tasks to train on, 1 held out. Mixed proportional (at most 3,000 rows of each count)" in page
    opened = open_tasks(TuneSettings(data=data, model="none"))
    for task in opened.tasks:
        for template in (*task.trained, *task.unseen, *task.inverted):
            assert f"-- {template.id} (" in page
        assert f"== {task.name}: {task.because}" in page
    assert page.count("(never trains)") == 7 + 6
    assert run(["check", data, "--json"]) == 0
    assert [task["name"] for task in json.loads(capsys.readouterr().out)] == [*KINDS, "other"]


def test_the_mask_shows_rows_of_each_trained_task(mixture, model):
    data = mixture("formats: {few_shot: 0}\ninversion: 0\ntasks: [{data: topics.jsonl}, {data: pairs.jsonl}]\n")
    shown = mask_preview(settings(data, model("llama")), rows=2)
    trained = ["".join(text for text, is_trained in spans if is_trained) for spans in shown]
    assert len(trained) == 4
    assert set(trained[:2]) <= {"late </s>", "refund </s>"} and trained[2:] == ["it is late </s>"] * 2


def test_the_run_tells_tasks_before_and_scores_after(mixture, model, tmp_path, capsys):
    data = mixture("tasks: [{data: topics.jsonl}, {data: echoes.jsonl}, {data: choices.jsonl, held_out: true}]\n")
    assert run(["tune", data, "--model", model("llama"), "--steps", "2", "--out", str(tmp_path / "run")]) == 0
    before, after = capsys.readouterr().err.split("Expected: ")
    assert "recognised as" in before and "passes" in before and "held out" in before
    assert "Passes over each task: topics 0.2" in after
    assert "Tasks that never trained: " in after and "of 1 above chance" in after
    assert all(len(line) <= 100 for line in after.splitlines() if "new task" in line or "new words" in line)


@pytest.mark.parametrize(
    ("text", "more", "wanted"),
    [
        ("tasks: [{data: topics.jsonl}]", {"template": "{prompt}"}, "template would speak of all of them"),
        ("tasks: [{data: topics.jsonl}]", {"replay": "x.jsonl"}, "are a task of their own"),
        ("tasks: [{data: topics.jsonl}]", {"objective": "causal"}, "trains completions alone"),
        (
            "tasks:\n  - data: nowhere.jsonl\n  - data: topics.jsonl\n    templates: [plian]",
            {},
            "line 2, task 'nowhere': .*does not exist",
        ),
        (
            "tasks:\n  - data: nowhere.jsonl\n  - data: topics.jsonl\n    templates: [plian]",
            {},
            "line 3, task 'topics': .*Did you mean 'plain'",
        ),
        ("tasks: [{data: tags.jsonl}]", {}, "of the kind 'tag', which no prompt asks for"),
        ("tasks: [{data: few.jsonl}]", {}, "at least 2 are needed|left to train on"),
        ("tasks: [{data: topics.jsonl, words: {lat: x}}]", {}, "names the class 'lat'. Did you mean 'late'"),
        ("tasks: [{data: topics.jsonl, words: {late: refund}}]", {}, "something of its own"),
        ("tasks: [{data: echoes.jsonl, words: {late: refund}}]", {}, "these rows have none"),
        ("tasks: [{data: echoes.jsonl, templates: [from_summary]}]", {}, "none asks for the answer"),
        ("tasks: [{data: echoes.jsonl, templates: own.toml}]", {}, "list options, which only classes and choices have"),
        ("tasks: [{data: topics.jsonl, validation: echoes.jsonl}]", {}, "of the kind 'completion', and"),
    ],
)
def test_what_cannot_be_trained_is_told_with_its_task(text, more, wanted, mixture, model, tmp_path):
    (tmp_path / "own.toml").write_text(
        '[[template]]\nshape = "classification"\nname = "a"\nprompt = "{{ text }} {{ options[0] }}"\n'
    )
    data = mixture(
        text,
        tags=[{"tokens": ["a", "b"], "ner_tags": ["O", "B-X"]}] * 5,
        few=[{"prompt": "a", "completion": "b"}, {"prompt": "c", "completion": "d"}],
    )
    with pytest.raises((Usage, BadData), match=wanted):
        tune_rows(settings(data, model("llama"), tmp_path / "run", **more))


def test_an_encoder_is_refused(mixture, model, tmp_path):
    with pytest.raises(Usage, match="train decoder or encoder-decoder models"):
        tune_rows(settings(mixture(EVERY), model("bert"), tmp_path / "run"))


def test_nothing_left_in_the_context_is_told(mixture, model, tmp_path):
    asked = settings(mixture(EVERY), model("t5"), tmp_path / "run")
    opened = open_tasks(asked)
    folder = locate_model(asked.model)
    reader = load_reader(folder, precision="fp32")

    class Nothing:
        name, head, is_divisible = "completion", "seq2seq", True

        def encode(self, rows):
            from hone.train import SourceTarget

            return [SourceTarget([], [], is_cut=True) for _ in rows]

    with pytest.raises(BadData, match="nothing is left to train in topics, echoes"):
        put_tasks(asked, opened, "encoder-decoder", reader, Nothing())


def test_rows_that_the_draws_never_come_to_stay_out_and_are_told(mixture, model, tmp_path, capsys):
    """Of 900 rows some 20 draws reach few: the cap of them stays, so that no share changes."""
    set_quiet(False)
    data = mixture("cap: 100\ntasks: [{data: topics.jsonl}, {data: choices.jsonl}]\n", topics=topics(1000))
    done = tune_rows(settings(data, model("llama"), tmp_path / "run", steps=5, answers=0))
    large, small = done.mixture.tasks
    assert (large.train, large.unreached, small.train, small.unreached) == (116, 784, 36, 0)
    assert large.share == pytest.approx(100 / 136)
    assert "116 of 900" in capsys.readouterr().err
