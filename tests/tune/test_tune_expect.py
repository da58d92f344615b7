"""What a run is expected to cost is rehearsed with all that the run does in each step."""

import json

import pytest

from hone.train import Alone, Rehearsal
from hone.tune import expect as module
from hone.tune import tune_rows
from hone.tune.expect import expect, frozen_blocks
from hone.tune.hold import hold, hold_few
from hone.tune.ready import make_ready
from hone.tune.settings import TuneSettings
from tiny import SENTENCES

HELD = {
    "nothing": {},
    "kl": {"hold": "kl"},
    "self-replay": {"remember": "self", "own_samples": 40},
}


@pytest.fixture
def ready(model, tmp_path):
    """A run that is about to start, held by something."""

    def make(kind, **held):
        path = tmp_path / "rows.jsonl"
        answers = {"completion": "it is late"} if kind != "bert" else {}
        rows = [
            {"prompt" if answers else "text": f"{text} {n}", **(answers or {"label": "ab"[n % 2]})}
            for n, text in enumerate(SENTENCES * 3)
        ]
        path.write_text("\n".join(map(json.dumps, rows)))
        fixed = {"steps": 6, "batch_rows": 4, "precision": "fp32", "evaluations": 2, "retain": ()}
        return make_ready(TuneSettings(data=str(path), model=model(kind), out=str(tmp_path / "run"), **fixed, **held), until=None)

    return make


@pytest.mark.parametrize("held", HELD)
def test_the_rehearsal_is_held_back_as_the_run_will_be(held, ready, monkeypatch):
    heard, real = [], module.rehearse

    def listening(*given, regulariser=None, **named):
        heard.append(regulariser.name if regulariser else None)
        return real(*given, regulariser=regulariser, **named)

    monkeypatch.setattr(module, "rehearse", listening)
    run = ready("llama", **HELD[held])
    expected = expect(run, Alone(), frozen_blocks(run, Alone()))
    whole = hold(run)
    assert heard == [whole.name if whole else None]
    assert expected.seconds > 0 and expected.peak_bytes > 0


@pytest.mark.parametrize("kind", ["llama", "t5", "bert"])
def test_what_few_samples_hold_foretells_what_all_of_them_do(kind, ready):
    run = ready(kind, remember="self", **({} if kind == "bert" else {"own_samples": 80}))
    few, whole = hold_few(run), hold(run)
    for one in (few.regulariser, whole):
        one.start(run.net, run.objective, run.rows.train)
    assert few.regulariser.bytes < whole.bytes
    assert few.regulariser.bytes + few.bytes_to_come == pytest.approx(whole.bytes, rel=0.25)


def test_a_run_moves_from_the_same_weights_with_and_without_a_rehearsal_that_is_held(ready, monkeypatch):
    """Rehearsing draws samples and steps with self-replay, and leaves nothing of it behind."""
    asked = ready("llama", **HELD["self-replay"]).settings
    first = tune_rows(asked.model_copy(update={"out": asked.out + "-1"}))
    monkeypatch.setattr(module, "rehearse", lambda *_, **__: Rehearsal(1.0, 1))
    second = tune_rows(asked.model_copy(update={"out": asked.out + "-2"}))
    assert first.training.log == second.training.log and first.loss == second.loss
