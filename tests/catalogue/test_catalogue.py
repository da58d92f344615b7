"""The catalogue's facts hold together, and its filters keep what they should and say why they leave out the rest."""

from pathlib import Path

import pytest
from published_shapes import parameters_of

from hone.catalogue import bytes_needed, choose, find_entries, read_catalogue, read_licences, read_wanted
from hone.catalogue.answer import name_models
from hone.catalogue.choose import reasons_against
from hone.catalogue.locate import STARTERS
from hone.catalogue.read import _languages, language_code, languages_named, read_entries
from hone.catalogue.wanted import parse_bytes
from hone.core.errors import Usage

CATALOGUE = read_catalogue()
ONE_OF_EACH_SHAPE = {(entry.architecture, entry.shape, entry.tied, entry.context): entry for entry in CATALOGUE}


def entry(name):
    (found,) = find_entries(name)
    return found


def kept(**filters):
    return [one.name for one in choose(CATALOGUE, read_wanted(**filters)).kept]


@pytest.mark.parametrize("one", ONE_OF_EACH_SHAPE.values(), ids=lambda one: one.name)
def test_a_model_has_as_many_parameters_as_transformers_builds_from_its_shape(one):
    assert parameters_of(one) == one.parameters


@pytest.mark.parametrize("one", [one for one in CATALOGUE if one.stated], ids=lambda one: one.name)
def test_parameters_are_within_five_percent_of_what_the_authors_state(one):
    assert one.parameters == pytest.approx(one.stated, rel=0.05)


def test_there_are_eighty_models_of_three_families_each_once():
    assert len(CATALOGUE) >= 80
    assert {one.family for one in CATALOGUE} == {"encoder", "decoder", "encoder-decoder"}
    names = [one.name.lower() for one in CATALOGUE]
    assert len(set(names)) == len(names)


def test_the_documents_say_how_many_models_there_are():
    root = Path(__file__).parents[2]
    for page in ("README.md", "CHANGELOG.md", "docs/models.md"):
        assert f"{len(CATALOGUE)} " in (root / page).read_text(encoding="utf-8"), page


@pytest.mark.parametrize(("name", "count"), [("mt5-small", 101), ("m2m100_418M", 100), ("mbart-large-50-many-to-many-mmt", 52)])
def test_a_model_that_names_all_its_languages_has_as_many(name, count):
    assert len(entry(name).languages) == count


def test_every_score_and_every_model_has_a_source_on_the_web():
    places = [place for one in CATALOGUE for place in (*one.sources, *(score.source for score in one.scores))]
    places += [licence.url for licence in read_licences().values()]
    assert [place for place in places if not place.startswith("https://")] == []


def test_heads_divide_what_they_share():
    for one in CATALOGUE:
        shape = one.shape
        assert shape.head_width or shape.hidden % shape.heads == 0, one.name
        assert shape.heads % (shape.key_value_heads or shape.heads) == 0, one.name
        assert shape.full_layers is None or (shape.full_layers < shape.layers and one.window), one.name


def test_every_language_that_a_model_or_a_list_names_has_an_english_name():
    codes = {code for one in CATALOGUE for code in one.languages}
    codes |= {code for codes in _languages()["lists"].values() for code in codes.split()}
    assert codes - set(_languages()["names"].values()) == set()
    assert set(_languages()["names"].values()) - codes == set()


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("Bulgarian", "bg"),
        ("Haitian  creole", "ht"),
        ("Norwegian Bokmål", "nb"),
        ("sepedi", "nso"),
        ("Scottish Gaelic", "gd"),
        ("BG", "bg"),
    ],
)
def test_a_language_is_asked_for_by_its_name_or_its_code(name, code):
    assert language_code(name) == code


def test_a_text_names_languages_by_a_capital_and_latin_america_is_none():
    assert languages_named("Sort Bulgarian and German-Croatian mails from Latin America; polish them.") == ("bg", "de", "hr")


def test_languages_are_short_codes_each_once():
    for one in CATALOGUE:
        assert len(set(one.languages)) == len(one.languages), one.name
        assert all(code.isalpha() and code.islower() and len(code) in (2, 3) for code in one.languages), one.name


def test_every_published_starter_is_in_the_catalogue_under_its_own_name():
    published = {name: starter for name, starter in STARTERS.items() if starter.published_name}
    assert published
    for name, starter in published.items():
        assert entry(name).name == starter.published_name
        assert entry(name).licence.id == starter.licence


@pytest.mark.parametrize("wrong", [{"layers": 0}, {"hidden": -1}])
def test_a_shape_without_layers_or_width_is_refused(wrong):
    with pytest.raises(ValueError, match="greater than 0"):
        type(CATALOGUE[0].shape).model_validate(CATALOGUE[0].shape.model_dump() | wrong)


@pytest.mark.parametrize(
    "wrong",
    [{"licence": "apache"}, {"layerz": 3}, {"sources": []}, {"released": "May 2024"}, {"scores": [["MMLU", 60.0, "5-shot"]]}],
)
def test_a_wrong_entry_is_told_by_its_name(wrong):
    right = {
        "name": "org/model",
        "shape": {"layers": 1, "hidden": 2, "feed_forward": 8, "heads": 1, "vocabulary": 10},
        "parameters": 100,
        "sources": ["https://example.org"],
    }
    line = {"name": "Line", "family": "decoder", "architecture": "llama", "licence": "mit"}
    assert read_entries([line | {"model": [right]}])[0].licence.id == "mit"
    with pytest.raises(AssertionError, match="entry org/model is wrong"):
        read_entries([line | {"model": [right | wrong]}])


# filters


def test_the_question_of_the_manual_keeps_only_what_passes_every_filter():
    wanted = read_wanted(task="summarisation", licence="commercial", max_memory="8GB", context="4096", language="German")
    choice = choose(CATALOGUE, wanted)
    assert choice.kept
    for one in choice.kept:
        assert one.family in ("encoder-decoder", "decoder")
        assert one.licence.commercial != "no"
        assert one.context >= 4096
        assert "de" in one.languages
        assert bytes_needed(one, "inference", tokens=4096) <= 8 * 2**30
    assert len(choice.kept) + len(choice.left_out) == len(CATALOGUE)
    assert all(one.reasons for one in choice.left_out)


def test_a_model_that_fails_several_filters_is_told_every_reason():
    reasons = reasons_against(entry("opt-6.7b"), read_wanted(licence="commercial", max_memory="1GB", language="de"))
    assert set(reasons) == {"licence", "memory", "language"}
    assert "forbids commercial use" in reasons["licence"]
    assert "12.7 GB" in reasons["memory"]


def test_an_unknown_licence_context_or_language_does_not_pass():
    assert "google/pegasus-xsum" not in kept(licence="commercial")
    assert reasons_against(entry("pegasus-xsum"), read_wanted(licence="commercial"))["licence"] == "its licence is unknown"
    assert reasons_against(entry("Mistral-7B-v0.3"), read_wanted(language="en"))["language"] == "its languages are unknown"
    unknown = entry("gpt2").model_copy(update={"context": None, "released": None})
    reasons = reasons_against(unknown, read_wanted(context="512", released_after="2018"))
    assert reasons == {"context": "its context is unknown", "date": "its release date is unknown"}


def test_unconditional_leaves_out_licences_with_conditions_on_use():
    commercial, free = kept(licence="commercial"), kept(licence="unconditional")
    assert "meta-llama/Llama-3.2-1B" in commercial
    assert "meta-llama/Llama-3.2-1B" not in free
    assert "Qwen/Qwen2.5-3B" not in commercial
    assert set(free) < set(commercial)


def test_several_licences_are_alternatives_and_needs_all_hold():
    ids = {one.licence.id for one in choose(CATALOGUE, read_wanted(licence="mit,apache-2.0")).kept}
    assert ids == {"mit", "apache-2.0"}
    assert kept(licence="commercial,llama2,opt") == kept(licence="llama2")


def test_retrieval_takes_only_encoders_that_were_trained_for_it():
    names = kept(task="retrieval")
    assert "BAAI/bge-m3" in names
    assert "google-bert/bert-base-uncased" not in names


def test_the_better_family_for_a_task_comes_first():
    families = [one.family for one in choose(CATALOGUE, read_wanted(task="classification")).kept]
    assert families == sorted(families, key=["encoder", "decoder", "encoder-decoder"].index)


def test_sorting_by_a_benchmark_puts_unknown_scores_last():
    found = choose(CATALOGUE, read_wanted(family="decoder"), sort="MMLU").kept
    values = [score.value if (score := one.score("mmlu")) else None for one in found]
    known = [value for value in values if value is not None]
    assert values[: len(known)] == sorted(known, reverse=True)
    assert known[0] > known[-1]


def test_a_filter_that_alone_leaves_models_out_is_named():
    choice = choose(CATALOGUE, read_wanted(max_memory="1KB"))
    assert choice.kept == ()
    assert choice.without() == {"memory": len(CATALOGUE)}


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"task": "summarization", "family": "encoder"}, "contradict each other: an encoder writes no text"),
        ({"licence": "commercial,cc-by-nc-4.0"}, "cc-by-nc-4.0 forbids commercial use"),
        ({"parameters": "8B-1B"}, "Turn them round"),
        ({"parameters": "7B-", "max_memory": "8GB"}, "contradict each other"),
        ({"parameters": "7B"}, "is not a range"),
        ({"task": "sumarization"}, "Did you mean 'summarization'"),
        ({"family": "encodr"}, "Did you mean 'encoder'"),
        ({"licence": "apache"}, "Did you mean 'apache-2.0'"),
        ({"language": "Germann"}, "Did you mean 'german'"),
        ({"max_memory": "8 apples"}, "is not a size"),
        ({"max_disk": "0GB"}, "is not a size"),
        ({"use": "infer"}, "Did you mean 'inference'"),
        ({"released_after": "2024-13"}, "is not a month"),
        ({"context": "long"}, "is not a number"),
    ],
)
def test_filters_that_mean_nothing_or_contradict_are_refused(filters, message):
    with pytest.raises(Usage, match=message):
        read_wanted(**filters)


def test_an_order_that_is_not_known_is_refused():
    with pytest.raises(Usage, match="Did you mean 'mmlu'"):
        choose(CATALOGUE, read_wanted(), sort="mlu")


@pytest.mark.parametrize(
    ("text", "size"), [("8GB", 8 * 2**30), ("8 gib", 8 * 2**30), ("1.5T", 3 * 2**39), ("512m", 2**29), ("100", 100)]
)
def test_a_size_is_read_in_units_of_1024(text, size):
    assert parse_bytes(text) == size


def test_named_models_that_fail_a_filter_are_refused_one_line_each():
    with pytest.raises(Usage) as refused:
        name_models(["Qwen2.5-3B", "opt-125m", "no-such"], read_wanted(licence="commercial"))
    lines = str(refused.value).splitlines()
    assert len(lines) == 3
    assert "There is no model 'no-such'" in lines[0]
    assert "qwen-research forbids commercial use" in lines[1]


def test_a_line_stands_for_all_its_models_and_a_last_part_for_one():
    assert {one.line for one in find_entries("qwen3")} == {"Qwen3"}
    assert len(find_entries("qwen3")) > 3
    assert [one.name for one in find_entries("GPT2")] == ["openai-community/gpt2"]


# memory


def test_a_decoder_keeps_keys_and_values_of_every_token():
    llama = entry("Llama-3.2-1B")
    more = bytes_needed(llama, "inference", tokens=2000) - bytes_needed(llama, "inference", tokens=1000)
    assert more == 1000 * 2 * 2 * 16 * 8 * 64  # keys and values, 2 bytes, 16 layers, 8 heads of 64


def test_layers_with_a_window_keep_no_more_than_it():
    gemma = entry("gemma-3-1b-pt")
    more = bytes_needed(gemma, "inference", tokens=2000) - bytes_needed(gemma, "inference", tokens=1000)
    assert more == 1000 * 2 * 2 * 4 * 256  # only 4 of 26 layers see further than 512


def test_an_encoder_keeps_nothing_between_passes():
    bert = entry("bert-base-uncased")
    assert bytes_needed(bert, "inference", tokens=512) == 2 * bert.parameters


def test_full_fine_tuning_takes_sixteen_bytes_a_parameter_and_lora_far_less():
    for one in CATALOGUE:
        full, lora = (bytes_needed(one, use, tokens=128) for use in ("full", "lora"))
        assert full > 16 * one.parameters
        assert 2 * one.parameters < lora < full


def test_a_model_larger_than_the_disk_is_left_out_with_both_sizes():
    reasons = reasons_against(entry("Llama-3.1-70B"), read_wanted(max_disk="100GB"))
    assert reasons == {"disk": "its weights take 131 GB, and 100 GB are free"}


def test_an_unknown_size_on_disk_fails_what_was_asked_and_not_what_happens_to_be_free():
    unknown = entry("Mistral-7B-v0.1").model_copy(update={"stored": None})
    assert reasons_against(unknown, read_wanted(max_disk="1TB")) == {"disk": "its size on disk is unknown"}
    free = read_wanted().model_copy(update={"free_disk": 1 << 20})
    assert reasons_against(unknown, free) == {}
    assert reasons_against(entry("gpt2"), free) == {"disk": "its weights take 475 MB, and 1.0 MB are free"}
