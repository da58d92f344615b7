"""lm-evaluation-harness's tasks with hone's engine: its own scores come out; and `hone eval` from files to leaderboard."""

import json
import random
import shlex
import shutil
import warnings

import pytest
import transformers
from lm_eval.tasks import TaskManager

from hone.cli.main import run
from hone.core.claim import only_process
from hone.core.errors import BadData, BadModel, Failed, HoneError, Usage
from hone.evaluate import answer_retained, benchmarks, find_tasks, harness, harness_requests
from hone.evaluate.benchmark_records import EvalSettings
from hone.evaluate.benchmarks import load_answering, read_evaluations, run_benchmarks
from hone.evaluate.harness import configuration, quiet
from hone.evaluate.local_tasks import find_local_tasks
from hone.evaluate.retained_find import as_retained
from hone.evaluate.retained_harness import questions
from hone.evaluate.scoreboard import leaderboard, score_table
from hone.model import LocalBackend
from tiny import SENTENCES, save_encoder
from tiny_language import save_language_model, tiny_tokenizer
from tiny_server import Model, serve

WORDS = sorted({word for sentence in SENTENCES for word in sentence.replace("?", "").replace(",", "").replace("!", "").split()})


def sentence(seed, count):
    return " ".join(random.Random(seed).choices(WORDS, k=count))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Benchmarks of a few rows in the shapes in which their files are kept, and one of the user's own."""
    folder = tmp_path_factory.mktemp("data")

    def write(name, rows):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")

    def question(seed):
        return {
            "subject": ["law", "art_history"][seed % 2],
            "question": sentence(seed, 5),
            **{letter: sentence(seed + 100 * at, 2) for at, letter in enumerate("ABCD")},
            "answer": "ABCD"[seed % 4],
        }

    write("mmlu/test.jsonl", [question(seed) for seed in range(10)])
    write("mmlu/dev.jsonl", [question(seed) for seed in range(20, 26)])
    write(
        "hellaswag/val.jsonl",
        [
            {"ctx": sentence(seed, 6), "label": seed % 4, "endings": [sentence(seed * 7 + at, 3) for at in range(4)]}
            for seed in range(12)
        ],
    )
    write("glue_cola/in_domain_dev.jsonl", [{"label": str(seed % 2), "sentence": sentence(seed, 4)} for seed in range(9)])
    write(
        "superglue_cb/val.jsonl",
        [
            {
                "premise": sentence(seed, 4),
                "hypothesis": sentence(seed, 2),
                "label": ["entailment", "neutral", "contradiction"][seed % 3],
            }
            for seed in range(9)
        ],
    )
    write("lambada/test.jsonl", [{"context": sentence(seed, 5), "continuation": sentence(seed + 1, 1)} for seed in range(6)])
    write("blimp/all.jsonl", [{"sentence_good": sentence(seed, 4), "sentence_bad": sentence(seed + 50, 4)} for seed in range(6)])
    blank = "Please choose: complete the given sentence: {} _ {}\n\nOption1: late Option2: lost Answer format: option1/option2"
    write(
        "winogrande/test.jsonl",
        [
            {"instruction": blank.format(sentence(seed, 2), sentence(seed + 9, 2)), "answer": f"option{1 + seed % 2}"}
            for seed in range(6)
        ],
    )
    write(
        "gsm8k/test.jsonl", [{"question": sentence(seed, 3), "answer": f"{sentence(seed, 2)} #### {seed}"} for seed in range(4)]
    )
    write("gsm8k/train.jsonl", [{"question": sentence(seed, 2), "answer": f"late #### {seed}"} for seed in range(30, 36)])
    write("bbh/navigate.jsonl", [{"input": sentence(seed, 3), "target": sentence(seed, 1)} for seed in range(7)])
    write("mine.jsonl", [{"query": sentence(seed, 3), "choices": ["late", "lost"], "gold": seed % 2} for seed in range(8)])
    return folder


TASKS = ("mmlu", "hellaswag", "glue_cola", "superglue_cb", "lambada", "blimp", "winogrande", "gsm8k", "bbh", "mine")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A decoder whose tokenizer adds a beginning only, and an encoder-decoder."""
    from tokenizers import processors

    made = {}
    for kind in ("llama", "t5"):
        made[kind] = save_language_model(tmp_path_factory.mktemp(kind), kind)
        tokenizer = tiny_tokenizer().__class__.from_pretrained(made[kind])
        single = "<s> $A" if kind == "llama" else "$A </s>"
        tokenizer._tokenizer.post_processor = processors.TemplateProcessing(
            single=single, special_tokens=[("<s>", 1), ("</s>", 2)]
        )
        tokenizer.save_pretrained(made[kind])
    return made


@pytest.mark.parametrize("kind", ["llama", "t5"])
def test_scores_are_those_of_the_harness_own_backend(kind, models, data, monkeypatch):
    """The same tasks once with hone's engine and once with lm-evaluation-harness's transformers backend, few-shot and cut texts included.

    Its cache for one-token answers is off: where one request's context is another's beginning, it reads the likelihood at a wrong place.
    """
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    from hone.model import Generator, Scorer

    monkeypatch.setattr(harness_requests, "_WRITTEN", 8)
    monkeypatch.setattr(HFLM, "max_gen_toks", 8)
    names = tuple(name for name in TASKS if kind == "llama" or name not in ("gsm8k", "bbh"))
    settings = EvalSettings(model=str(models[kind]), tasks=names, precision="fp32", shots=2)
    tasks = find_local_tasks(data, names)
    _, net, reader = load_answering(settings.model, precision=settings.precision)
    ours_lm = harness.EngineLM(
        Scorer(net, precision="fp32"),
        Generator(net, reader.tokenizer, precision="fp32"),
        reader.tokenizer,
        length=reader.context_length,
    )
    ours = harness.run_harness(ours_lm, tasks, shots=2, limit=None, chat=False)
    with warnings.catch_warnings(), harness.quiet():
        warnings.simplefilter("ignore")
        head = "seq2seq" if kind == "t5" else "causal"
        theirs_lm = HFLM(
            pretrained=str(models[kind]),
            backend=head,
            dtype="float32",
            batch_size=1,
            device="cpu",
            max_length=64,
            logits_cache=False,
        )
        theirs = simple_evaluate(
            model=theirs_lm,
            tasks=[harness.configuration(task, 2) for task in tasks],
            num_fewshot=2,
            task_manager=TaskManager(include_defaults=False),
            bootstrap_iters=0,
        )
    assert ours["results"].keys() == theirs["results"].keys()
    for name, samples in theirs["samples"].items():
        for one, other in zip(samples, ours["samples"][name], strict=True):
            if isinstance(one["filtered_resps"][0], str):
                assert one["filtered_resps"] == other["filtered_resps"]
                continue
            for (likelihood, greedy), (mine, mine_greedy) in zip(one["filtered_resps"], other["filtered_resps"], strict=True):
                assert mine == pytest.approx(likelihood, abs=2e-4) and bool(greedy) == bool(mine_greedy), (
                    name,
                    one["arguments"],
                    other["filtered_resps"],
                    one["filtered_resps"],
                )
    for name, wanted in theirs["results"].items():
        for metric, value in wanted.items():
            if isinstance(value, float):
                assert ours["results"][name][metric] == pytest.approx(value, rel=1e-4), (name, metric)


@pytest.mark.parametrize("name", [name for name in TASKS if name != "mine"])
def test_what_is_retained_of_a_benchmark_is_asked_as_the_harness_asks_it(name, data):
    """From files, and through the harness's own task: the same prompts, choices and right answers."""
    for local in find_local_tasks(data, (name,)):
        with quiet():
            (task,) = TaskManager(include_defaults=False).load(configuration(local, 0))["tasks"].values()
            theirs = questions(task)
        assert as_retained(local) == theirs
    (whole,) = find_tasks([str(data / name)])
    assert whole.name == name
    assert len(whole) == sum(len(one.tests) for one in find_local_tasks(data, (name,)))
    assert (whole.chance is None) == (name in ("lambada", "gsm8k", "bbh"))


@pytest.mark.parametrize("limit", [30, int(1e30)])
@pytest.mark.parametrize(
    "config",
    [
        transformers.LlamaConfig(max_position_embeddings=64),
        transformers.Gemma3Config(text_config={"max_position_embeddings": 4096}),
        transformers.T5Config(n_positions=512),
        transformers.MT5Config(),
        transformers.MptConfig(max_seq_len=8192),
        transformers.MambaConfig(),
    ],
)
def test_a_model_reads_as_many_tokens_as_in_the_harness_own_backend(config, limit):
    from lm_eval.models.utils import resolve_max_length

    tokenizer = tiny_tokenizer().__class__(tokenizer_object=tiny_tokenizer()._tokenizer, model_max_length=limit)
    assert harness.usual_length(config, tokenizer) == resolve_max_length(config, tokenizer)


REFUSES_SYSTEM = (
    "{% for turn in messages %}{% if turn.role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{{ turn.role }}: {{ turn.content }} </s>{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
)


def test_what_a_task_says_first_is_left_out_where_the_chat_template_refuses_it(models, data, tmp_path, capsys):
    """Gemma's does, and MMLU says what it is about."""
    model = tmp_path / "model"
    shutil.copytree(models["llama"], model)
    tokenizer = tiny_tokenizer().__class__.from_pretrained(model)
    tokenizer.chat_template = REFUSES_SYSTEM
    tokenizer.save_pretrained(model)
    settings = EvalSettings(model=str(model), tasks=("mmlu",), data=str(data), shots=1, chat=True, out=str(tmp_path / "run"))
    done = run_benchmarks(settings)
    first = json.loads((tmp_path / "run" / "answers.jsonl").read_text(encoding="utf-8").splitlines()[0])["question"]
    assert first.startswith("user: ") and "The following are" not in first and first.endswith("assistant:")
    assert len(done.scores) == 2 and capsys.readouterr().err.count("refuses a system's turn (System role not supported)") == 1
    tokenizer.chat_template = "{{ raise_exception('never') }}"
    tokenizer.save_pretrained(model)
    with pytest.raises(BadModel, match="refuses a question: never"):
        run_benchmarks(settings.model_copy(update={"out": str(tmp_path / "other")}))


def test_accuracy_on_a_retained_benchmark_is_its_score(models, data, tmp_path):
    """BLiMP and GLUE's choices of the harness count whole likelihoods, as `RetainedTask` does where choices are not long."""
    names = ("mmlu", "blimp")
    settings = EvalSettings(
        model=str(models["llama"]), tasks=names, data=str(data), precision="fp32", shots=0, out=str(tmp_path / "run")
    )
    scores = {score.task: score.value for score in run_benchmarks(settings).scores if score.metric == "acc"}
    _, net, reader = load_answering(str(models["llama"]), precision="fp32")
    backend = LocalBackend(net, reader, template="{prompt}", chat=False, takes_over=False)
    tasks = [as_retained(local) for local in find_local_tasks(data, names)]
    found = answer_retained(tasks, backend, title="")
    assert {name: answers.is_right.mean() for name, answers in found.items()} == pytest.approx(scores)


def test_a_task_of_the_harness_that_it_does_not_know():
    with pytest.raises(Usage, match="knows no task 'arc_esay'"):
        find_tasks(["harness:arc_esay"])


def test_long_answers_are_refused_with_the_way_out_and_long_prompts_are_told_and_recorded(models, data, tmp_path, capsys):
    """BIG-Bench Hard with its step-by-step examples, by a model of 64 tokens: the harness's transformers backend refuses answers of 1,024
    tokens too, and cuts prompts from the left."""
    settings = EvalSettings(model=str(models["llama"]), tasks=("bbh",), data=str(data), limit=2, out=str(tmp_path / "run"))
    with pytest.raises(Usage, match=r"answers of 1,024 tokens, and the model reads 64 in all.*--max-tokens 16.*longer context"):
        run_benchmarks(settings)
    assert not (tmp_path / "run").exists()
    found = run_benchmarks(settings.model_copy(update={"max_tokens": 16}))
    assert "Warning: 2 of 2 prompts are longer than the 48 tokens" in capsys.readouterr().err
    assert {(score.task, score.n, score.cut) for score in found.scores} == {("bbh_navigate", 2, 2)}
    assert "cut 2" in score_table(found) and "lost the beginning of their prompts" in score_table(found)
    assert "--max-tokens 16" in found.command and "(answers of 16 tokens)" in leaderboard([found])
    again = run_benchmarks(settings.model_copy(update={"max_tokens": 16}))
    assert again == found


def test_likelihoods_behind_prompts_that_were_cut_are_told(models, tmp_path, capsys):
    rows = [{"query": sentence(seed, 200 if seed else 3), "choices": ["late", "lost"], "gold": 0} for seed in range(3)]
    (tmp_path / "long.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    for kind in models:
        settings = EvalSettings(model=str(models[kind]), tasks=("long",), data=str(tmp_path), out=str(tmp_path / kind))
        found = run_benchmarks(settings)
        assert "Warning: 4 of 6 prompts are longer than the 64 tokens" in capsys.readouterr().err
        assert {score.cut for score in found.scores} == {2}


@pytest.fixture(scope="module")
def done(models, data, tmp_path_factory):
    settings = EvalSettings(
        model=str(models["llama"]), tasks=("mmlu", "hellaswag", "glue_cola", "superglue_cb", "lambada"), data=str(data), shots=1
    )
    return run_benchmarks(settings.model_copy(update={"out": str(tmp_path_factory.mktemp("runs") / "one")}))


def test_intervals_chance_and_averages(done):
    by_name = {(score.task, score.metric): score for score in done.scores}
    for score in done.scores:
        assert score.low is None or score.low <= score.value <= score.high, score
    hellaswag = by_name["hellaswag", "acc"]
    assert hellaswag.chance == 0.25 and hellaswag.n == 12
    assert hellaswag.uninformative == ("floor" if hellaswag.low <= 0.25 else None)
    assert by_name["mmlu_law", "acc"].shots == 1 and by_name["hellaswag", "acc"].shots == 0  # no examples in its files
    groups = {group.name: group for group in done.groups}
    right = sum(score.value * score.n for score in done.scores if score.task.startswith("mmlu"))
    assert groups["mmlu"].value == pytest.approx(right / 10) and groups["mmlu"].low < groups["mmlu"].value
    assert "GLUE" not in groups  # of one task there is no average


def test_the_run_folder_holds_every_question(done):
    from pathlib import Path

    lines = [json.loads(line) for line in (Path(done.folder) / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 10 + 12 + 9 + 9 + 6
    assert lines[0]["question"] and "acc" in lines[0]
    assert read_evaluations(Path(done.folder).parent) == [done]


def test_tables(done):
    text = score_table(done)
    assert "hellaswag" in text and "95% interval" in text and "floor 0.25" in text
    assert max(map(len, text.splitlines()[:-1])) <= 100
    board = leaderboard([done, done.model_copy(update={"model": "other", "started": "2030"})])
    assert "other" in board and "±" in board and max(map(len, board.splitlines())) <= 160


def test_the_command(models, data, tmp_path, capsys):
    arguments = [
        "eval",
        str(models["llama"]),
        "--tasks",
        "mine,blimp",
        "--data",
        str(data),
        "--out",
        str(tmp_path / "run"),
        "--quiet",
    ]
    assert run([*arguments, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert {score["task"] for score in record["scores"]} == {"mine", "blimp"}
    assert run(["eval", "--leaderboard", str(tmp_path)]) == 0
    assert "mine" in capsys.readouterr().out


def test_the_recorded_command_asks_the_same_again(models, data, tmp_path, capsys):
    """With every option that is not the default, quoted for a shell."""
    folder = tmp_path / "bench marks"
    shutil.copytree(data, folder)
    arguments = ["eval", str(models["llama"]), "--tasks", "mine,hellaswag", "--data", str(folder), "--shots", "0"]
    arguments += ["--limit", "3", "--precision", "fp32", "--out", str(tmp_path / "my run"), "--json"]
    assert run(arguments) == 0
    record = json.loads(capsys.readouterr().out)
    program, *words = shlex.split(record["command"])
    assert program == "hone"
    (tmp_path / "my run").rename(tmp_path / "earlier")
    assert run([*words, "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    told = ("command", "settings", "scores", "folder")
    assert [again[name] for name in told] == [record[name] for name in told]


def test_bad_input(models, data, tmp_path, capsys):
    with pytest.raises(Usage, match=r"(?s)'helaswag' is neither.*hellaswag"):
        find_local_tasks(data, ("helaswag",))
    (tmp_path / "arc_easy").mkdir()
    with pytest.raises(BadData, match="needs test"):
        find_local_tasks(tmp_path, ("arc_easy",))
    (tmp_path / "hellaswag").mkdir()
    (tmp_path / "hellaswag" / "val.jsonl").write_text('{"ctx": "a", "endings": ["b"]}\n', encoding="utf-8")
    (tmp_path / "sst2").mkdir()
    (tmp_path / "sst2" / "dev.jsonl").write_text('{"text": "a", "label": 1}\n{"text": "b", "label": "maybe"}\n', encoding="utf-8")
    with pytest.raises(BadData, match=r"(?s)val.jsonl, line 1: no 'label'.*dev.jsonl, line 2: label is 'maybe'"):
        find_local_tasks(tmp_path, ("hellaswag", "sst2"))
    (tmp_path / "odd.jsonl").write_text('{"x": 1}\n', encoding="utf-8")
    with pytest.raises(BadData, match=r"need \{choices, gold, query\} or \{completion, prompt\}"):
        find_local_tasks(tmp_path, ("odd",))
    encoder = save_encoder(tmp_path / "encoder", "bert") or tmp_path / "encoder"
    with pytest.raises(BadModel, match="is an encoder"):
        run_benchmarks(EvalSettings(model=str(encoder), tasks=("mine",), data=str(data), out=str(tmp_path / "x")))
    assert run(["eval", "some/model"]) == 3
    assert "--tasks" in capsys.readouterr().err


def test_a_tuned_run_is_evaluated_as_it_was_trained(models, data, tmp_path):
    """LoRA on the tiny decoder: its folder's scores differ from the base's, and the base is found by the record."""
    from hone.tune import tune_rows
    from hone.tune.settings import TuneSettings

    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        "\n".join(json.dumps({"prompt": sentence(seed, 3), "completion": "late"}) for seed in range(20)), encoding="utf-8"
    )
    tune_rows(
        TuneSettings(
            data=str(rows),
            model=str(models["llama"]),
            method="lora",
            learning_rate=0.05,
            steps=20,
            batch_rows=8,
            precision="fp32",
            out=str(tmp_path / "run"),
        )
    )
    scores = {}
    for name in (str(models["llama"]), str(tmp_path / "run")):
        found = run_benchmarks(
            EvalSettings(
                model=name, tasks=("lambada",), data=str(data), precision="fp32", out=str(tmp_path / f"eval{len(scores)}")
            )
        )
        scores[name] = next(score.value for score in found.scores if score.metric == "perplexity")
    base, tuned = scores.values()
    assert abs(base - tuned) > 0.01 * base


@pytest.fixture(scope="module")
def server(models):
    """The tiny decoder behind a server, which answers as vLLM's does."""
    with serve(Model(models["llama"])) as state:
        yield state


def test_a_model_behind_a_server_has_the_scores_that_it_has_here(models, data, server, tmp_path, capsys):
    """Likelihoods and written answers of the same tiny decoder in plain transformers, over the wire."""
    tasks = {"tasks": ("hellaswag", "mine"), "data": str(data), "shots": 0}
    here = run_benchmarks(EvalSettings(model=str(models["llama"]), precision="fp32", out=str(tmp_path / "here"), **tasks))
    asked = EvalSettings(
        model="openai:tiny", base_url=server.url, api="completions", price="1,2", out=str(tmp_path / "there"), **tasks
    )
    there = run_benchmarks(asked)
    assert [(one.task, one.metric, one.value, one.n) for one in there.scores] == [
        (one.task, one.metric, pytest.approx(one.value), one.n) for one in here.scores
    ]
    assert (there.model_sha256, there.shares_prefixes, here.spent) == (None, None, None)
    assert there.spent.requests >= 12 * 4 and there.spent.usd == pytest.approx(
        (there.spent.tokens_read + 2 * there.spent.tokens_written) / 1e6
    )
    assert not (tmp_path / "there" / "work").exists()
    assert f"{there.spent.requests:,} requests: " in score_table(there) and "US dollars" in score_table(there)
    assert "openai:tiny" in leaderboard(read_evaluations(tmp_path))


def test_an_interrupted_evaluation_pays_for_no_answer_twice(models, data, tmp_path):
    model, asked = Model(models["llama"]), []

    def breaking(path, body):
        asked.append(body)
        return (401, {"error": {"message": "no more"}}) if len(asked) == 20 else model(path, body)

    with serve(breaking) as state:
        settings = EvalSettings(
            model="openai:tiny",
            base_url=state.url,
            api="completions",
            tasks=("hellaswag",),
            data=str(data),
            out=str(tmp_path / "run"),
        )
        with pytest.raises(HoneError):
            run_benchmarks(settings)
        done = run_benchmarks(settings)
    assert done.spent.remembered > 5
    sent = [json.dumps(body, sort_keys=True) for body in asked if body is not None]
    assert len(sent) <= len(set(sent)) + 9  # the one that broke, and those under way with it


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"model": "openai:tiny"}, "--base-url"),
        ({"model": "openai:tiny", "base_url": "http://127.0.0.1:9/v1", "price": "much"}, "price 'much'"),
        ({"model": "openai:tiny", "base_url": "http://127.0.0.1:9/v1", "chat": True}, "Leave out --chat"),
        ({"base_url": "http://127.0.0.1:9/v1"}, "says nothing about"),
        ({"model": "openai:tiny", "base_url": "http://127.0.0.1:9/v1", "precision": "bf16"}, "Leave out --precision"),
        ({"price": "1,2"}, "--price and --api are about a server"),
        ({"chat": True}, "has none. Leave out --chat"),
    ],
    ids=["no address", "no price", "chat", "an address for a folder", "arithmetic", "a price for a folder", "no chat template"],
)
def test_what_does_not_fit_a_model_behind_a_server_is_refused_and_leaves_nothing(asked, said, models, data, tmp_path):
    settings = {"model": str(models["llama"]), "tasks": ("hellaswag",), "data": str(data), "out": str(tmp_path / "run")}
    with pytest.raises(Usage, match=said):
        run_benchmarks(EvalSettings(**(settings | asked)))
    assert not (tmp_path / "run").exists()


def test_a_chat_server_writes_answers_and_is_not_asked_for_likelihoods(data, server, tmp_path):
    settings = {"model": "openai:tiny", "base_url": server.url, "data": str(data)}
    done = run_benchmarks(EvalSettings(tasks=("gsm8k",), out=str(tmp_path / "written"), limit=3, **settings))
    assert [score.n for score in done.scores] and all(score.n == 3 for score in done.scores)
    answers = [json.loads(line) for line in (tmp_path / "written" / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    asked = [body for _, body in server.asked if body and "messages" in body]
    assert {row["question"] for row in answers} == {body["messages"][0]["content"] for body in asked}
    assert all(body["max_tokens"] == 256 and body["temperature"] == 0 for body in asked)
    for name, said in (("hellaswag", "tells no log-likelihoods"), ("lambada", "tells no log-likelihoods")):
        with pytest.raises(Usage, match=said):
            run_benchmarks(EvalSettings(tasks=(name,), out=str(tmp_path / name), **settings))
        assert not (tmp_path / name).exists()


def test_a_finished_evaluation_is_read_back_and_its_server_asked_nothing(models, data, tmp_path, capsys):
    with serve(Model(models["llama"])) as state:
        named = {"model": "openai:tiny", "base_url": state.url, "api": "completions", "tasks": ("hellaswag",), "data": str(data)}
        done = run_benchmarks(EvalSettings(out=str(tmp_path / "run"), **named))
        asked = len(state.asked)
        assert run_benchmarks(EvalSettings(out=str(tmp_path / "run"), **named)) == done
        assert len(state.asked) == asked
        dear = run_benchmarks(EvalSettings(out=str(tmp_path / "run"), price="10,20", **named))
        assert dear.spent.usd == pytest.approx((10 * done.spent.tokens_read + 20 * done.spent.tokens_written) / 1e6)
        assert "--price 10,20" in dear.command and read_evaluations(tmp_path / "run") == [dear]
        assert run_benchmarks(EvalSettings(out=str(tmp_path / "run"), **named)) == done, "a price decides no answer"
        assert len(state.asked) == asked
    assert "Finished before" in capsys.readouterr().err


def test_a_second_process_in_the_same_folder_is_refused_before_it_asks_a_server(models, data, tmp_path):
    with serve(Model(models["llama"])) as state, only_process(tmp_path / "run"):
        named = {"model": "openai:tiny", "base_url": state.url, "api": "completions", "tasks": ("hellaswag",), "data": str(data)}
        with pytest.raises(Failed, match="Another process is working in"):
            run_benchmarks(EvalSettings(out=str(tmp_path / "run"), **named))
        assert not state.asked


def test_a_finished_evaluation_is_read_back_without_its_model(models, data, tmp_path, monkeypatch):
    """Nothing is left to ask, so nothing is loaded."""
    settings = EvalSettings(model=str(models["llama"]), tasks=("mine",), data=str(data), out=str(tmp_path / "run"))
    done = run_benchmarks(settings)

    def loaded(*_, **__):
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(benchmarks, "load_text_model", loaded)
    monkeypatch.setattr(benchmarks, "load_reader", loaded)
    assert run_benchmarks(settings) == done
    with pytest.raises(AssertionError, match="was loaded"):
        run_benchmarks(settings.model_copy(update={"out": str(tmp_path / "other")}))


def test_other_questions_or_other_weights_are_another_evaluation(models, data, tmp_path):
    model, questions = tmp_path / "model", tmp_path / "data"
    shutil.copytree(models["llama"], model)
    shutil.copytree(data, questions)
    asked = EvalSettings(model=str(model), tasks=("hellaswag",), data=str(questions), out=str(tmp_path / "run"), limit=2)
    run_benchmarks(asked)
    (tmp_path / "run" / "evaluation.json").write_text("{")
    with pytest.raises(BadData, match=r"evaluation.json cannot be read.*and the same command asks anew"):
        run_benchmarks(asked)
    file = next((questions / "hellaswag").iterdir())
    file.write_text(file.read_text(encoding="utf-8").replace('ctx": "', 'ctx": "the '), encoding="utf-8")
    with pytest.raises(Usage, match="other rows or settings"):
        run_benchmarks(asked)
