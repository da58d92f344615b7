"""A model's generation_config.json holds in `hone eval` as it holds in lm-evaluation-harness's own transformers backend."""

import json
import random
import warnings

import pytest
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from hone.evaluate import benchmarks, harness
from hone.evaluate.benchmark_records import EvalSettings
from tiny import SENTENCES
from tiny_language import save_language_model

WORDS = sorted({word for sentence in SENTENCES for word in sentence.split()})
SAID = [
    {"eos_token_id": [2, *range(5, 35)]},
    {"repetition_penalty": 1.4, "suppress_tokens": list(range(5, 30))},
    {"max_new_tokens": 14},
]


@pytest.mark.parametrize("said", SAID, ids=["ends", "rules", "length"])
def test_answers_are_those_of_the_harness_own_backend(said, tmp_path, capsys):
    folder = save_language_model(tmp_path / "model", "gpt2")
    told = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    (folder / "generation_config.json").write_text(json.dumps(told | said), encoding="utf-8")
    asked = {"until": ["late now"], "do_sample": False, "max_gen_toks": 8}
    requests = [
        Instance("generate_until", {}, (" ".join(random.Random(seed).choices(WORDS, k=3 + seed)), dict(asked)), seed)
        for seed in range(4)
    ]
    with warnings.catch_warnings(), harness.quiet():
        warnings.simplefilter("ignore")
        theirs = HFLM(pretrained=str(folder), dtype="float32", batch_size=1, device="cpu", max_length=40)
        wanted = theirs.generate_until(requests, disable_tqdm=True)
    settings = EvalSettings(model=str(folder), tasks=("any",), precision="fp32")
    ours = benchmarks._from_here(settings, benchmarks._find(str(folder))).answering
    assert ours.generate_until(requests) == wanted
    named = {"repetition_penalty=1.4", "max_new_tokens=14"} & {f"{name}={value}" for name, value in said.items()}
    assert all(one in capsys.readouterr().err for one in named)
