"""Which families and strategies are worth running on such rows, and why: each rule with its source. What holds on yours, `hone compare` measures."""

from typing import NamedTuple

from hone.model import Family
from hone.plan.records import Enough, Rule, Survey

__all__ = ["FITTING", "Fitting", "enough_rows", "is_compared", "strategy_rules"]

_HEADS = ("score", "multi_label", "tag")
_COMPARED = ("classify", "completion", "chat", "answers", "choice", *_HEADS)

_PER_CLASS = 8
_FEW, _SOME = 50, 500
_SETFIT = "Tunstall 2022, https://arxiv.org/abs/2209.11055"
_TFEW = "Liu 2022, https://arxiv.org/abs/2205.05638"
_LORA = "Biderman 2024, https://arxiv.org/abs/2405.09673"
_MOSBACH = "Mosbach 2023, https://arxiv.org/abs/2305.16938"
_OVADIA = "Ovadia 2023, https://arxiv.org/abs/2312.05934"
_ORDER = "Lu 2022, https://arxiv.org/abs/2104.08786"
_JUDGED = "judgement of hone's authors"


class Fitting(NamedTuple):
    """Families for a kind of rows, the best first."""

    families: tuple[Family, ...]
    because: str
    task: str
    """In the catalogue's words."""


FITTING: dict[str, Fitting] = {
    "classify": Fitting(
        ("encoder", "decoder", "encoder-decoder"),
        "an encoder reads each word with all others and is the smallest for its accuracy; the others answer with the label's words",
        "classification",
    ),
    "multi_label": Fitting(("encoder",), "each label is a yes or no of a head on one vector per text", "classification"),
    "score": Fitting(("encoder",), "a number is read off one vector per text", "classification"),
    "tag": Fitting(("encoder",), "a label for each word needs what stands on both sides of it", "tagging"),
    "answers": Fitting(
        ("encoder", "decoder", "encoder-decoder"),
        "an encoder marks the answer in the passage and invents nothing; models that write answer in words",
        "question-answering",
    ),
    "choice": Fitting(
        ("decoder", "encoder-decoder"), "models that write score each choice as it stands, without training", "multiple-choice"
    ),
    "completion": Fitting(
        ("encoder-decoder", "decoder"),
        "a text is read and another is written: an encoder-decoder reads the whole source both ways, a decoder takes longer texts",
        "text-to-text",
    ),
    "chat": Fitting(("decoder",), "a dialogue is one text that goes on", "chat"),
    "plain": Fitting(("decoder",), "a decoder continues a text", "text-generation"),
}


def enough_rows(survey: Survey) -> Enough:
    """The courses' rules of thumb, as what they are."""
    rows = survey.rows
    one = "fewer than" if rows < 500 else "within" if rows <= 1_000 else "more than"
    many = "fewer than" if rows < 50_000 else "within" if rows <= 100_000 else "more than"
    return Enough(
        rows=rows,
        one_task=f"{rows:,} rows are {one} the 500 to 1,000 that are often named for fine-tuning on one task (a rule of thumb, not a measurement).",
        many_tasks=f"They are {many} the 50,000 to 100,000 often named for many tasks at once (a rule of thumb; rehearsing 1% of the older "
        "tasks' rows has been enough: Scialom 2022, https://arxiv.org/abs/2205.12393).",
        measure="The learning curve in the report of hone compare shows on your rows whether more of them would help."
        if survey.kind in _COMPARED
        else "Train on half of your rows and on all, with the same --validation file: the two losses show whether more would help.",
    )


def is_compared(kind: str) -> bool:
    """Whether `hone compare` takes rows of this kind; the others are for `hone tune`."""
    return kind in _COMPARED


def strategy_rules(survey: Survey, family: Family, *, has_documents: bool = False) -> list[Rule]:
    """Each strategy of `hone compare` for this family, whether it is worth its time on these rows, and why."""
    if not is_compared(survey.kind):
        return [Rule(strategy="lora", runs=True, because=_TUNED_ALONE, source=_LORA)]
    if survey.kind in _HEADS or (survey.kind == "answers" and family == "encoder"):
        return _of_heads(survey)
    if family == "encoder":
        return _of_encoders(survey)
    return _of_writers(survey, has_documents=has_documents)


_TUNED_ALONE = "rows of this kind with such a model are trained by hone tune; LoRA moves few weights and keeps the base beside it"


_SAME = Rule(
    strategy="constant", runs=True, because="always the same answer: the baseline that a model must beat", source=_JUDGED
)
_PLAINEST = {
    "score": _SAME,
    "multi_label": _SAME,
    "tag": Rule(
        strategy="lookup", runs=True, because="each word's commonest tag: the baseline that a model must beat", source=_JUDGED
    ),
    "answers": Rule(
        strategy="first_sentences",
        runs=True,
        because="the passage's beginning: the baseline that a model must beat",
        source=_JUDGED,
    ),
}


def _of_heads(survey: Survey) -> list[Rule]:
    """Of numbers, several labels, tags and stretches of a passage."""
    plainest = _PLAINEST[survey.kind]
    nearest = Rule(strategy="nearest", runs=True, because="costs one pass over the rows", source=_JUDGED)
    head = Rule(strategy="head", runs=True, because="the cheapest way to learn: no weight of the base moves", source=_JUDGED)
    return [plainest, *([nearest] if survey.kind in ("score", "multi_label") else []), head, *_tuned(survey)]


def _tuned(survey: Survey) -> list[Rule]:
    """Ways to tune an encoder."""
    return [
        *(
            Rule(
                strategy=name,
                runs=survey.rows >= _FEW,
                because=f"{survey.rows:,} rows, and from about {_FEW} on a few per cent of the weights learn without a new model per task",
                source=_TFEW,
            )
            for name in ("bias", "lora", "adapter")
        ),
        Rule(
            strategy="full",
            runs=survey.rows >= _SOME,
            because=f"{survey.rows:,} rows; below about {_SOME} moving all weights overfits and varies by seed, and it often forgets most",
            source="Mosbach 2021, https://arxiv.org/abs/2006.04884; " + _LORA,
        ),
    ]


def _of_encoders(survey: Survey) -> list[Rule]:
    has_eight = (survey.fewest or 0) >= _PER_CLASS
    eight = f"the rarest class has {survey.fewest or 0} rows, and {_PER_CLASS} of each are"
    return [
        Rule(
            strategy="zero_shot",
            runs=True,
            because="costs no training and shows what the labels' names alone give",
            source=_JUDGED,
        ),
        Rule(strategy="few_shot", runs=True, because="costs a mean of vectors per class", source=_SETFIT),
        Rule(
            strategy="nearest",
            runs=True,
            because="costs one pass over the rows; similar rows are the strongest examples where there are few",
            source="Liu 2021, https://arxiv.org/abs/2101.06804",
        ),
        Rule(
            strategy="head",
            runs=has_eight,
            because=f"{eight} where a head on frozen vectors begins to pay: the cheapest way to learn",
            source=_SETFIT,
        ),
        Rule(
            strategy="contrastive",
            runs=has_eight,
            because=f"{eight} what contrastive few-shot needed to reach a classifier tuned on 3,000",
            source=_SETFIT,
        ),
        *_tuned(survey),
    ]


def _of_writers(survey: Survey, *, has_documents: bool) -> list[Rule]:
    has_few = survey.rows >= _FEW
    tuned = f"{survey.rows:,} rows, and from some tens of examples on tuning few weights beat prompting"
    return [
        *(
            [Rule(strategy="first_sentences", runs=True, because="the baseline that every summary must beat", source=_JUDGED)]
            if survey.labels is None
            else []
        ),
        Rule(strategy="zero_shot", runs=True, because="costs no training; what the model can already do", source=_JUDGED),
        *(
            Rule(
                strategy=name,
                runs=survey.rows >= _PER_CLASS,
                because="examples in the prompt need no training; their order alone can decide, so several are tried",
                source=_ORDER,
            )
            for name in ("one_shot", "few_shot", "nearest_shots")
        ),
        Rule(
            strategy="retrieval",
            runs=has_documents,
            because="new or changing facts are better looked up than learnt"
            + ("" if has_documents else "; name documents with hone compare --docs"),
            source=_OVADIA,
        ),
        Rule(strategy="inference", runs=True, because="beams and temperatures cost no training", source=_JUDGED),
        Rule(strategy="lora", runs=has_few, because=tuned, source=f"{_TFEW}; {_MOSBACH}"),
        Rule(strategy="adapter", runs=has_few, because=tuned, source=_TFEW),
        Rule(
            strategy="full",
            runs=survey.rows >= _SOME,
            because="all weights hold most, and forget most: LoRA forgets less on most tasks, not on all",
            source=_LORA,
        ),
    ]
