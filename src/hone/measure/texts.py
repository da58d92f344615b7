"""How good written answers are: ROUGE, BLEU, chrF, exact match, token F1. Each keeps what is needed per row to be resampled.

ROUGE is rouge-score's and BLEU and chrF are sacreBLEU's, with their signatures: other packages' numbers differ. Token F1 and exact match
are SQuAD's (Rajpurkar 2016, https://arxiv.org/abs/1606.05250), so they know English articles and punctuation; but numbers count by their
value (SQuAD's takes 1.5 for 15 and -5 for 5), and a right answer of which nothing is left ('A') by its letters. What they lack for other
scripts than Latin is in `words.py`.
"""

import collections
import math
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from hone.core.errors import Usage, did_you_mean
from hone.measure.intervals import Interval, is_constant
from hone.measure.paired import wider_interval
from hone.measure.resample import require_rows, resampled_counts
from hone.measure.scores import MeanScore, ResampledScore, SumScore
from hone.measure.words import AnyScript, bleu_tokens, compared_words, is_mostly_latin, normalise_answer

__all__ = [
    "TEXT_METRICS",
    "bits_per_byte",
    "first_sentences",
    "perplexity_interval",
    "score_texts",
]

FloatArray = npt.NDArray[np.float64]
_ROUGE = ("rouge1", "rouge2", "rougeL", "rougeLsum")
_PARTS = ("precision", "recall", "f1")
TEXT_METRICS = (
    *_ROUGE,
    *(f"{name}_{part}" for name in _ROUGE for part in _PARTS[:2]),
    "bleu",
    "chrf",
    "exact_match",
    "token_f1",
)
"""A bare rouge name is its F1."""


def score_texts(
    predictions: Sequence[str], references: Sequence[Sequence[str]], names: Sequence[str]
) -> dict[str, ResampledScore]:
    """Metrics of answers; with several right answers per row the best of them counts (BLEU and chrF: as sacreBLEU does).

    Args:
        references: at least one per prediction. names: of TEXT_METRICS.
    Raises:
        Usage: a name is not known. NotEnough: there are no rows.
    """
    unknown = [name for name in names if name not in TEXT_METRICS]
    if unknown:
        raise Usage("\n".join(f"metric '{name}' is not known. {did_you_mean(name, TEXT_METRICS)}" for name in unknown))
    require_rows(len(predictions), "A text metric", least=1)
    assert len(predictions) == len(references) and all(references), "every prediction needs a reference"
    scores: dict[str, ResampledScore] = {}
    rouge = sorted({name.split("_")[0] for name in names if name.startswith("rouge")})
    if rouge:
        scores |= _rouge(predictions, references, rouge)
    for name in names:
        if name in ("bleu", "chrf"):
            scores[name] = _sacrebleu(name, predictions, references)
        elif name in ("exact_match", "token_f1"):
            own = _exact if name == "exact_match" else _token_f1
            rows = [max(own(answer, right) for right in known) for answer, known in zip(predictions, references, strict=True)]
            scores[name] = MeanScore(name, "SQuAD 1.1 normalisation, numbers by value", np.array(rows))
    return {name: scores[name] for name in names}


def bits_per_byte(loss: float, *, tokens: int, size: int) -> float:
    """A language model's loss in nats per token as bits per byte of text, which compares across tokenizers.

    Args:
        tokens, size: of the text on which the loss is a mean, in tokens and in bytes.
    """
    assert tokens > 0 and size > 0, (tokens, size)
    return loss * tokens / size / math.log(2)


def perplexity_interval(log_likelihoods: npt.ArrayLike, tokens: npt.ArrayLike, *, draws: int = 1000, seed: int) -> Interval:
    """exp of the mean negative log-likelihood per token over all rows, with its 95% interval over rows.

    Args:
        log_likelihoods: natural logarithms, summed over the tokens of each row, [n]. tokens: how many there are, [n].
    Returns:
        At least 1; lower is better. Comparable between models only where they cut words alike.
    Raises:
        NotEnough: fewer than 2 rows.
    """
    sums, counts = np.asarray(log_likelihoods, dtype=np.float64), np.asarray(tokens, dtype=np.float64)
    require_rows(len(sums), "A perplexity")
    rng, found = np.random.default_rng(seed), []
    for weights in resampled_counts(np.ones(len(sums)), size=len(sums), draws=draws, rng=rng):
        found.append(-(weights @ sums) / (weights @ counts))
    loss = float(-sums.sum() / counts.sum())
    influence = -(sums + loss * counts) / counts.mean()  # of each row on the loss per token
    if is_constant(influence):
        return Interval(low=math.exp(loss), mid=math.exp(loss), high=math.exp(loss))
    wide = wider_interval(loss + influence, np.concatenate(found), 0.95)
    return Interval(low=max(1.0, math.exp(wide.low)), mid=math.exp(loss), high=math.exp(wide.high))


def first_sentences(text: str, count: int = 3) -> str:
    """The first sentences of a text, or lines where it has none: the baseline that every summary has to beat."""
    parts = re.findall(r"\S(?:.*?[.!?।॥؟۔።](?=\s)|.*?[。！？]+[」』”’）]*|.*)\s*", text.strip())
    return "".join(parts[:count]).replace("\n", " ").strip()


def _exact(answer: str, right: str) -> float:
    bare = normalise_answer(right)
    return float(normalise_answer(answer) == bare if bare else answer.strip().casefold() == right.strip().casefold())


def _token_f1(answer: str, right: str) -> float:
    mine, theirs = compared_words(answer), compared_words(right)
    if not theirs:
        return _exact(answer, right)
    shared = sum((collections.Counter(mine) & collections.Counter(theirs)).values())
    return 2 * shared / (len(mine) + len(theirs))


def _rouge(predictions: Sequence[str], references: Sequence[Sequence[str]], kinds: Sequence[str]) -> dict[str, ResampledScore]:
    """Precision, recall and F1 of each kind; of several references the one with the best F1."""
    from importlib.metadata import version

    from rouge_score.rouge_scorer import RougeScorer

    is_latin = is_mostly_latin([text for known in references for text in known])
    scorer = RougeScorer(list(kinds), use_stemmer=is_latin, tokenizer=None if is_latin else AnyScript())
    rows = [
        [scorer.score(right, answer) for right in known]  # several references: the best by F1, kind by kind
        for answer, known in zip(predictions, references, strict=True)
    ]
    signature = (
        f"rouge_score {version('rouge_score')}, {'Porter stemmer' if is_latin else 'every letter of any script, no stemmer'}"
    )
    found: dict[str, ResampledScore] = {}
    for kind in kinds:
        best = [max((scores[kind] for scores in row), key=lambda score: score.fmeasure) for row in rows]
        for part, values in (
            ("precision", [score.precision for score in best]),
            ("recall", [score.recall for score in best]),
            ("f1", [score.fmeasure for score in best]),
        ):
            name = kind if part == "f1" else f"{kind}_{part}"
            found[name] = MeanScore(name, signature, np.array(values))
    return found


@cache
def _sacrebleu_metric(name: str, tokens: str) -> Any:
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    return BLEU(tokenize=tokens) if name == "bleu" else CHRF()


def _sacrebleu(name: str, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> ResampledScore:
    """Corpus BLEU or chrF. sacreBLEU wants as many references for each row; missing ones repeat a row's last."""
    metric = _sacrebleu_metric(name, bleu_tokens([text for known in references for text in known]) if name == "bleu" else "")
    most = max(map(len, references))
    streams = [[known[min(at, len(known) - 1)] for known in references] for at in range(most)]
    statistics = np.array(metric._extract_corpus_statistics(list(predictions), streams), dtype=np.float64)

    def combined(sums: FloatArray) -> FloatArray:
        found = [metric._compute_score_from_stats([int(number) for number in each]).score / 100 for each in sums]
        return np.minimum(1.0, np.array(found, dtype=np.float64))  # its BLEU of equal texts is 100.00000000000004

    metric.corpus_score(list(predictions[:1]), [stream[:1] for stream in streams])  # fills in the number of references
    return SumScore(name, str(metric.get_signature()), statistics, combined)
