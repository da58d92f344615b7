"""Benchmarks of many parts that count as one: which parts these have, and one score over those that were run.

Weighted as lm-evaluation-harness weighs its groups: by questions, and each part of BLiMP alike. The parts of a pool were asked behind as
many examples and marked by one metric; what was asked otherwise makes a pool of its own.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hone.core.store import digest_text
from hone.evaluate.benchmark_records import BenchmarkScore
from hone.measure import Interval, wilson_interval

__all__ = ["Pool", "bare_metric", "find_pools"]

_POOLED = re.compile(  # variants of one benchmark are benchmarks of their own
    r"(mmlu_(?:pro_plus|pro|prox_lite_[a-z]{2}|prox_[a-z]{2}|redux_spanish|redux|flan_\w+?shot(?:_generative|_loglikelihood)?)"
    r"|bbh_(?:fewshot|zeroshot|cot_zeroshot)|mmlu|bbh|blimp(?!_nl_))_(?:cot_fewshot_)?(.+?)(_generative|_continuation)?"
)
_AREAS = {
    "stem": "abstract_algebra anatomy astronomy college_biology college_chemistry college_computer_science college_mathematics "
    "college_physics computer_security conceptual_physics electrical_engineering elementary_mathematics high_school_biology "
    "high_school_chemistry high_school_computer_science high_school_mathematics high_school_physics high_school_statistics machine_learning",
    "other": "business_ethics clinical_knowledge college_medicine global_facts human_aging management marketing medical_genetics "
    "miscellaneous nutrition professional_accounting professional_medicine virology",
    "social_sciences": "econometrics high_school_geography high_school_government_and_politics high_school_macroeconomics "
    "high_school_microeconomics high_school_psychology human_sexuality professional_psychology public_relations security_studies sociology "
    "us_foreign_policy",
    "humanities": "formal_logic high_school_european_history high_school_us_history high_school_world_history international_law "
    "jurisprudence logical_fallacies moral_disputes moral_scenarios philosophy prehistory professional_law world_religions",
}
_PRO = "biology business chemistry computer_science economics engineering health history law math other philosophy physics psychology"
_BBH = (
    "boolean_expressions causal_judgement date_understanding disambiguation_qa dyck_languages formal_fallacies geometric_shapes hyperbaton "
    "logical_deduction_five_objects logical_deduction_seven_objects logical_deduction_three_objects movie_recommendation "
    "multistep_arithmetic_two navigate object_counting penguins_in_a_table reasoning_about_colored_objects ruin_names "
    "salient_translation_error_detection snarks sports_understanding temporal_sequences tracking_shuffled_objects_five_objects "
    "tracking_shuffled_objects_seven_objects tracking_shuffled_objects_three_objects web_of_lies word_sorting"
)
_BLIMP = (
    "adjunct_island anaphor_gender_agreement anaphor_number_agreement animate_subject_passive animate_subject_trans causative "
    "complex_NP_island coordinate_structure_constraint_complex_left_branch coordinate_structure_constraint_object_extraction "
    "determiner_noun_agreement_1 determiner_noun_agreement_2 determiner_noun_agreement_irregular_1 determiner_noun_agreement_irregular_2 "
    "determiner_noun_agreement_with_adj_2 determiner_noun_agreement_with_adj_irregular_1 determiner_noun_agreement_with_adj_irregular_2 "
    "determiner_noun_agreement_with_adjective_1 distractor_agreement_relational_noun distractor_agreement_relative_clause drop_argument "
    "ellipsis_n_bar_1 ellipsis_n_bar_2 existential_there_object_raising existential_there_quantifiers_1 existential_there_quantifiers_2 "
    "existential_there_subject_raising expletive_it_object_raising inchoative intransitive irregular_past_participle_adjectives "
    "irregular_past_participle_verbs irregular_plural_subject_verb_agreement_1 irregular_plural_subject_verb_agreement_2 "
    "left_branch_island_echo_question left_branch_island_simple_question matrix_question_npi_licensor_present npi_present_1 npi_present_2 "
    "only_npi_licensor_present only_npi_scope passive_1 passive_2 principle_A_c_command principle_A_case_1 principle_A_case_2 "
    "principle_A_domain_1 principle_A_domain_2 principle_A_domain_3 principle_A_reconstruction regular_plural_subject_verb_agreement_1 "
    "regular_plural_subject_verb_agreement_2 sentential_negation_npi_licensor_present sentential_negation_npi_scope "
    "sentential_subject_island superlative_quantifiers_1 superlative_quantifiers_2 tough_vs_raising_1 tough_vs_raising_2 transitive "
    "wh_island wh_questions_object_gap wh_questions_subject_gap wh_questions_subject_gap_long_distance wh_vs_that_no_gap "
    "wh_vs_that_no_gap_long_distance wh_vs_that_with_gap wh_vs_that_with_gap_long_distance"
)


class Pool(NamedTuple):
    """One score over the parts of a benchmark that were run."""

    name: str
    """As the harness calls the group: mmlu, mmlu_stem, bbh."""
    parts: tuple[BenchmarkScore, ...]
    missing: tuple[str, ...]
    """Names of the benchmark's other parts."""
    value: float
    interval: Interval | None
    """95% over all questions as one sample; None where parts of unlike size count alike."""

    @property
    def is_complete(self) -> bool:
        """Whether all parts of the benchmark were run, and nothing else; False where hone has no list of them."""
        return not self.missing and len(self.parts) == len(_official(self.name))

    @property
    def questions(self) -> int:
        """Of all parts."""
        return sum(part.n for part in self.parts)

    @property
    def chance(self) -> float | None:
        """Score of guessing; None where that has no meaning for some part."""
        known = [(part.chance, part.n) for part in self.parts if part.chance is not None]
        return sum(chance * n for chance, n in known) / self.questions if len(known) == len(self.parts) else None

    @property
    def digest(self) -> str | None:
        """Tells the questions of all parts from others; None where those of some part are not known."""
        known = sorted((part.task, part.questions) for part in self.parts if part.questions is not None)
        return digest_text(*(f"{task} {questions}" for task, questions in known)) if len(known) == len(self.parts) else None


def bare_metric(metric: str) -> str:
    """Without the filter by which the answer was taken: 'exact_match (get-answer)' is 'exact_match'."""
    return metric.split(" (", 1)[0]


def find_pools(scores: Iterable[BenchmarkScore]) -> list[Pool]:
    """The pools of which two parts or more were run, a benchmark before its areas."""
    found: dict[tuple[str, str, int], list[BenchmarkScore]] = {}
    for score in _one_each(score for score in scores if bare_metric(score.metric) in ("acc", "exact_match")):
        if pooled := _POOLED.fullmatch(score.task):
            for name in _names(pooled[1], pooled[2], pooled[3] or ""):
                found.setdefault((name, score.metric, score.shots), []).append(score)
    return [_pool(name, parts) for (name, _, _), parts in found.items() if len(parts) > 1]


def _one_each(scores: Iterable[BenchmarkScore]) -> list[BenchmarkScore]:
    """The first score of each task: no question is in a pool twice, however many filters its answer was taken by."""
    found: dict[str, BenchmarkScore] = {}
    for score in scores:
        found.setdefault(score.task, score)
    return list(found.values())


def _names(benchmark: str, part: str, variant: str) -> list[str]:
    """The pools to which a part belongs."""
    areas = [area for area, parts in _AREAS.items() if _has_areas(benchmark) and part in parts.split()]
    return [f"{benchmark}{variant}", *(f"{benchmark}_{area}{variant}" for area in areas)]


def _has_areas(benchmark: str) -> bool:
    return benchmark == "mmlu" or benchmark.startswith("mmlu_flan_")


def _pool(name: str, parts: Sequence[BenchmarkScore]) -> Pool:
    run = {found[2] for part in parts if (found := _POOLED.fullmatch(part.task))}
    official = _official(name)
    missing = tuple(part for part in official if part not in run) if run & set(official) else ()  # else it is somebody's own
    questions = sum(part.n for part in parts)
    if name == "blimp" and len({part.n for part in parts}) > 1:
        return Pool(name, tuple(parts), missing, sum(part.value for part in parts) / len(parts), None)
    right = sum(part.value * part.n for part in parts)
    return Pool(name, tuple(parts), missing, right / questions, wilson_interval(round(right), questions))


def _official(name: str) -> list[str]:
    """The parts of a pool as lm-evaluation-harness 0.4 lists them; none where hone has no list."""
    plain = re.sub(r"_(generative|continuation)$", "", name)
    if name.startswith("mmlu_pro"):
        return _PRO.split()
    if _has_areas(plain) or plain.startswith("mmlu_redux"):
        return sorted(part for parts in _AREAS.values() for part in parts.split())
    if area := next((area for area in _AREAS if plain.endswith(f"_{area}")), None):
        return _AREAS[area].split()
    return (_BBH if name.startswith("bbh") else _BLIMP if name == "blimp" else "").split()
