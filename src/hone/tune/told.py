"""What a training run says of itself: its rows, its plan, its end."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from hone.evaluate import tell_forgetting, tell_vector_forgetting
from hone.measure import ERRORS, human_bytes, human_count, human_seconds
from hone.model import HeadedNetwork, Network
from hone.train import Frozen, Measured, TrainPlan, trained_parameters
from hone.tune.prepare import Rows
from hone.tune.records import AnswerScore, Expected, HeadScore, TestScores, TuneRecord
from hone.tune.settings import TuneSettings
from hone.tune.task_check import task_table
from hone.tune.task_scores import score_table
from hone.tune.tasks import PutTasks

__all__ = ["told_commonest", "told_end", "told_plan", "told_promise", "told_rows"]


def told_rows(settings: TuneSettings, because: str, rows: Rows, epochs: Mapping[str, float], tasks: PutTasks | None) -> str:
    """What there is to train on. `epochs`: passes over each task that the run will make."""
    counts = rows.counts
    lines = [
        f"{settings.data}: {because}",
        *([task_table(tasks.record.tasks, epochs), ""] if tasks else []),
        f"{counts.train:,} rows to train on, {counts.validation:,} to choose on; {counts.tokens:,} tokens a pass, {counts.trained_tokens:,} "
        f"trained terms ({counts.trained_tokens / max(counts.tokens, 1):.1%}).",
        f"{counts.cut:,} rows cut to the context, {counts.dropped:,} dropped because nothing was left to train, {counts.rejected:,} unusable, "
        f"{counts.duplicates:,} left out because validation or test holds them too.",
    ]
    if not tasks:
        each = [f"{name} {value:.2f}" if len(epochs) > 1 else f"{value:.2f}" for name, value in epochs.items()]
        lines.append(f"Effective epochs: {', '.join(each)}.")
    return "\n".join(lines)


def told_plan(
    settings: TuneSettings, plan: TrainPlan, net: Network, expected: Expected, out: Path, *, parts: int, frozen: Frozen
) -> str:
    """What moves, how far, and what it is expected to cost. `parts`: processes that the network is divided over."""
    moving = sum(parameter.numel() for parameter in trained_parameters(net).values())
    whole = sum(parameter.numel() for parameter in net.parameters())
    held = "" if settings.hold == "none" else f", held by {settings.hold} ({settings.hold_strength:g})"
    own = "what its sentence vectors say" if isinstance(net, HeadedNetwork) else "samples of its own"
    held = f", held to {own}" if settings.remember == "self" else held
    tied = (
        " The output layer is tied to the embedding, which therefore moves too."
        if settings.method == "head" and _is_tied(net)
        else ""
    )
    divided = f" Weights, gradients and moments are divided over {parts} processes." if parts > 1 else ""
    return (
        f"{settings.method}: {human_count(moving)} of {human_count(whole)} parameters move ({moving / whole:.2%}){held}. "
        f"{plan.steps:,} steps of {plan.batch_rows} rows at a rate of {plan.learning_rate:g}, {plan.precision}, "
        f"{'packed without padding' if net.packs else 'padded'}.{tied}{divided}{_told_frozen(frozen)}\n"
        f"Expected: {human_seconds(expected.seconds)} and {human_bytes(expected.peak_bytes)} at the peak. Kept in {out}; "
        "after an interruption the same command goes on.\n"
    )


def _told_frozen(frozen: Frozen) -> str:
    if not frozen.blocks:
        return ""
    said = f" Of {frozen.of} blocks the lower {frozen.blocks} are frozen: "
    if frozen.keeps:
        return f"{said}what they make of a row is computed once and kept, in {human_bytes(frozen.bytes)} at most."
    return f"{said}they are computed with every row, because {frozen.because}."


def _is_tied(net: Network) -> bool:
    output = net.base.get_output_embeddings()
    return output is not None and output.weight is net.base.get_input_embeddings().weight


def told_end(done: TuneRecord, base: Measured | None, out: Path) -> str:
    """What it cost and what it brought."""
    lines = [
        f"Took {human_seconds(done.seconds)} (expected {human_seconds(done.expected.seconds)}), "
        f"peak {human_bytes(done.peak_bytes or 0)} (expected {human_bytes(done.expected.peak_bytes)}); "
        f"{done.training.tokens_seen / max(done.training.seconds, 1e-9):,.0f} tokens a second."
    ]
    if base is not None and done.loss is not None:
        right = "" if done.accuracy is None else f", {done.accuracy:.1%} of the terms right{told_commonest(done)}"
        lines.append(f"Validation loss {base.loss:.4f} before, {done.loss:.4f} after{right}.")
    if done.answers or done.scores:
        lines.append(f"Answers to {(done.answers or done.scores)[0].n:,} validation rows, on which the checkpoint was chosen:")
        lines += [f"  {line}" for line in told_scores(done.answers, done.scores, done.objective)]
    if done.test:
        lines += _told_test(done.test, done.objective)
    if done.mixture:
        lines.append(
            f"Passes over each task: {', '.join(f'{name} {value:.2f}' for name, value in done.effective_epochs.items())}."
        )
        lines += ["", score_table(done.mixture.scores), ""] if done.mixture.scores else []
    if done.forgetting:
        lines += ["", tell_forgetting(done.forgetting)]
    if done.vectors:
        lines += ["", tell_vector_forgetting(done.vectors)]
    if done.certificate:
        lines.append(told_promise(done))
    lines.append(f"Written to {out}.")
    return "\n".join(lines)


def told_commonest(done: TuneRecord) -> str:
    """What the share of right terms has to beat, where that is known."""
    return "" if done.commonest is None else f" (always '{done.commonest.label}': {done.commonest.share:.1%})"


def told_scores(answers: Sequence[AnswerScore], scores: Sequence[HeadScore], objective: str) -> list[str]:
    """A line for each metric of written answers and of a head's."""
    plain = {"regression": "the mean", "tag": "the commonest tag", "multi_label": "the commonest label"}.get(
        objective, "the commonest class"
    )
    return [_told_answer(score) for score in answers] + [_told_head(score, plain) for score in scores]


def _told_test(test: TestScores, objective: str) -> list[str]:
    right = "" if test.accuracy is None else f", {test.accuracy:.1%} of the terms right"
    lines = [
        f"Test rows ({test.rows:,} of {test.file}, on which nothing was chosen): loss {test.loss:.4f}{right}.{test.told_unseen}"
    ]
    if test.answers and test.answers[0].n < test.rows:
        lines.append(f"Answers to the first {test.answers[0].n:,} of them (--answers):")
    return lines + [f"  {line}" for line in told_scores(test.answers, test.scores, objective)]


def _told_head(score: HeadScore, plain: str) -> str:
    form = "{:.4g}" if score.metric in ERRORS else "{:.3f}"
    ends = "" if score.low is None or score.high is None else f" (95%: {form.format(score.low)} to {form.format(score.high)})"
    least = "" if score.plain is None else f", always {plain} {form.format(score.plain)}"
    return f"{score.metric} {form.format(score.value)}{ends}{least}"


def _told_answer(score: AnswerScore) -> str:
    gain = "" if score.gain_low is None else f" (gain {score.gain_low:+.3f} to {score.gain_high:+.3f})"
    return f"{score.metric} {score.base:.3f} before, {score.value:.3f} after{gain}, first sentences {score.first_sentences:.3f}"


def told_promise(done: TuneRecord) -> str:
    """What is promised, where the dial stands for it, and what that costs."""
    kept = done.certificate
    assert kept is not None
    said = f"at most {kept.budget:.2%} of what was right may be lost, with {kept.confidence:.0%} confidence"
    price = ""
    if done.loss is not None and done.loss_at_full is not None:
        price = f" Validation loss {done.loss:.4f} there, {done.loss_at_full:.4f} with all of it on."
    if kept.dial == 0:
        left = "the encoder is the base's, below its new head" if done.vectors else "what is written equals the base"
        return f"No position of the dial keeps the promise that {said}: {left}.{price}"
    return (
        f"Promise: {said}. Of {kept.items} items held back {kept.mean_loss:.2%} were lost with the dial at {kept.dial:.1f}; the true share lies "
        f"below {kept.upper_bound:.2%}. It speaks about items like the retained ones.{price}"
    )
