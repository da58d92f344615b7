"""Prompt templates: what is bundled holds its promises for every shape, few-shot prompts share their beginning, and a bad file is refused."""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from hone.core.errors import BadData, Usage
from hone.task import SHAPES, bundled_templates, few_shot_prompt, read_templates

OPTIONS = ("a red one", "a green one", "a blue one")
ANSWERING = [template for shape in SHAPES for template in bundled_templates(shape)]
INVERTED = [template for shape in SHAPES for template in bundled_templates(shape, inverted=True)]


def by_id(template):
    return template.id


def named(shape, name):
    return next(template for template in bundled_templates(shape) if template.name == name)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_has_four_ways_to_ask_and_one_inverted(shape):
    asking, inverted = bundled_templates(shape), bundled_templates(shape, inverted=True)
    assert len(asking) >= 4 and len(inverted) >= 1
    assert not any(template.is_inverted for template in asking) and all(template.is_inverted for template in inverted)
    written = {template.render("What is it?", options=OPTIONS) for template in asking}
    assert len(written) == len(asking), "two templates ask in the same words"


def test_every_template_has_an_id_and_a_digest_of_its_own():
    every = [*ANSWERING, *INVERTED]
    assert len({template.id for template in every}) == len({template.digest for template in every}) == len(every)
    assert all(re.fullmatch(rf"{template.shape}/\w+\.v\d+", template.id) for template in every)


def test_classes_are_asked_for_with_and_without_the_options():
    assert {template.shows_options for template in bundled_templates("classification")} == {True, False}
    assert all(
        template.answer_of("a green one", options=OPTIONS) == "a green one" for template in bundled_templates("classification")
    )


def test_multiple_choice_is_answered_by_letter_or_by_the_text_of_the_option():
    answers = {
        template.name: template.answer_of("a green one", options=OPTIONS) for template in bundled_templates("multiple-choice")
    }
    assert answers["plain"] == "a green one" and answers["letters"] == "(B)" and answers["letters_instructed"] == "B"
    assert "(B) a green one" in named("multiple-choice", "letters").render("Which?", options=OPTIONS)


@pytest.mark.parametrize("text", ["ends with blanks  \n", "{{ 7 * 7 }} {% for %} {# no #} {{ options }}", "<b>&amp;</b> \\n 'x'"])
@pytest.mark.parametrize("template", [*ANSWERING, *INVERTED], ids=by_id)
def test_a_prompt_holds_the_text_untouched_and_never_ends_with_a_blank(template, text):
    prompt = template.render(text, options=OPTIONS)
    assert text.rstrip() in prompt and prompt == prompt.rstrip()
    assert not template.shows_options or all(option in prompt for option in OPTIONS)


@pytest.mark.parametrize("template", ANSWERING, ids=by_id)
def test_a_shot_is_the_prompt_without_its_instruction_then_the_separator_and_the_answer(template):
    shot = template.shot("Which?", "a green one", options=OPTIONS)
    prompt = (
        replace(template, instruction=None).render("Which?", options=OPTIONS)
        if template.name != "listed"
        else "Text: Which?\nCategory:"
    )
    assert shot == f"{prompt}{template.separator}{template.answer_of('a green one', options=OPTIONS)}"


@pytest.mark.parametrize("template", ANSWERING, ids=by_id)
def test_what_stands_before_the_question_is_the_same_for_all_questions(template):
    varies = template.shape == "multiple-choice"
    shots = [("One?", "a red one", OPTIONS), ("Two?", "a blue one", OPTIONS)]
    first = few_shot_prompt(template, shots, "Three?", options=OPTIONS)
    second = few_shot_prompt(template, shots, "Something else?", options=("x", "y") if varies else OPTIONS)
    alone = few_shot_prompt(template, shots, "Three?", options=OPTIONS, instruction="")
    solved = "\n\n".join(template.shot(text, answer, options=among) for text, answer, among in shots)
    start = first[: first.index(solved) + len(solved) + 2]
    assert second.startswith(start) and start.endswith("\n\n")
    assert alone.startswith(solved) and first.endswith(alone)


def test_an_instruction_stands_once_at_the_top_and_the_callers_own_takes_its_place():
    template = named("classification", "listed")
    shots = [("One", "a red one", OPTIONS), ("Two", "a blue one", OPTIONS)]
    prompt = few_shot_prompt(template, shots, "Three", options=OPTIONS)
    assert prompt.startswith("Each text belongs to one of these categories: a red one, a green one, a blue one.")
    assert prompt.count("Each text belongs") == 1 and prompt.endswith("Category: a blue one\n\nText: Three\nCategory:")
    own = few_shot_prompt(template, shots, "Three", options=OPTIONS, instruction="Use {{ these }}.")
    assert own.startswith("Use {{ these }}.\n\nText: One\nCategory: a red one\n\n") and "Each text" not in own
    assert few_shot_prompt(template, (), "Three", options=OPTIONS) == template.render("Three", options=OPTIONS)


@pytest.mark.parametrize("template", INVERTED, ids=by_id)
def test_an_inverted_template_asks_for_the_text_and_never_for_the_answer(template):
    read, written = template.pair("the row's text", "the row's answer", options=OPTIONS)
    assert "the row's answer" in read and "the row's text" not in read and written == "the row's text"
    assert template.shot("the row's text", "the row's answer", options=OPTIONS) == f"{read}{template.separator}{written}"
    with pytest.raises(Usage, match="is inverted"):
        few_shot_prompt(template, (), "text")


def test_options_that_are_missing_and_answers_that_are_none_of_them_are_refused():
    template = named("multiple-choice", "letters")
    with pytest.raises(Usage, match=r"multiple-choice/letters\.v1 shows the options, and none are given"):
        template.render("Which?")
    with pytest.raises(BadData, match="'a pink one' is none of the 3"):
        template.answer_of("a pink one", options=OPTIONS)
    with pytest.raises(Usage, match=r"'summary' is not known\. Did you mean 'summarization'"):
        bundled_templates("summary")


def test_letters_go_on_after_z():
    options = [f"option {number}" for number in range(60)]
    template = named("multiple-choice", "letters_instructed")
    letters = [template.answer_of(option, options=options) for option in options]
    assert letters[:2] == ["A", "B"] and letters[25:28] == ["Z", "AA", "AB"] and letters[52] == "BA"


def test_the_digest_changes_with_every_source():
    template = bundled_templates("summarization")[0]
    changed = [replace(template, **{name: "x {{ text }}"}) for name in ("prompt", "answer", "separator", "instruction", "name")]
    assert len({one.digest for one in (template, replace(template, version=2), *changed)}) == 7


def write(tmp_path, text):
    path = tmp_path / "own.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_users_own_file_is_read_with_the_usual_values_where_it_says_nothing(tmp_path):
    path = write(tmp_path, 'shape = "summarization"\n[[template]]\nname = "mine"\nprompt = "Shorten: {{ text }}"\n')
    (template,) = read_templates(path)
    assert (template.id, template.separator, template.answer) == ("summarization/mine.v1", "\n", "{{ answer }}")
    assert template.shot("Long.", " Short. ") == "Shorten: Long.\nShort."
    (other,) = read_templates(
        write(tmp_path, path.read_text(encoding="utf-8") + 'version = 3\nshape = "translation"\nseparator = " "\n')
    )
    assert other.id == "translation/mine.v3" and other.shot("a", "b") == "Shorten: a b"


REFUSED = {
    "{{ text }} {{ txet }}": "names the unknown variable 'txet' .known: letters, options, text., in its prompt",
    "{{ text }}{% if options %}{{ label }}{% endif %}": "names the unknown variable 'label'",
    "{{ text": "does not parse: ",
    "{{ text }}{% for %}": "does not parse: ",
    "{{ text.__class__ }}": "reaches for the attribute '__class__'",
    "{{ text['__class__'] }}": "takes a part of something else than options or letters",
    "{{ text }}{{ ''|attr('__class__') }}": "uses the filter 'attr'",
    "{{ text }}{% for i in range(10**9) %}x{% endfor %}": "loops over something else than options or letters",
    "{{ text }}{% for a in options %}{% for b in options %}x{% endfor %}{% endfor %}": "has a loop inside a loop",
    "{{ text }}{% for text in options %}x{% endfor %}": "has a loop without a name of its own",
    "{{ text * 10 }}": "multiplies",
    "{{ text }}{{ 9 ** 9 }}": "computes a power",
    "{{ text }}{{ '%99999d' % 1 }}": "uses %",
    "{{ text|center(99999999) }}": "uses the filter 'center'",
    "{{ text }}{{ text|join(text) }}": "joins something else than options or letters",
    "{{ text }}{% set a = 1 %}": "assigns a variable",
    "{{ text.upper() }}": "calls a function",
    "{{ text }}{% macro a() %}{{ a() }}{% endmacro %}": "uses 'macro'",
    "{% include 'x' %}{{ text }}": "uses 'include'",
    "{{ text }}{{ options[7] }}": "cannot be written out: ",
    "{{ text - 1 }}": "cannot be written out: ",
    "Summarize.": r"leaves out {{ text }}",
    "{{ text|upper }}": r"leaves out {{ text }}",
    "{{ text }}{% raw %} {% endraw %}{{ ' ' }}Answer: ": "has a prompt that ends with a blank",
    "": "has no prompt",
}


@pytest.mark.parametrize("prompt", REFUSED)
def test_a_prompt_that_cannot_be_used_is_refused_with_file_name_and_reason(tmp_path, prompt):
    path = write(tmp_path, f'shape = "summarization"\n[[template]]\nname = "mine"\nprompt = """{prompt}"""\n')
    with pytest.raises(BadData, match=f"own.toml: template 'mine' {REFUSED[prompt]}") as caught:
        read_templates(path)
    assert str(caught.value).count("\n") == 0 and str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('answer = "yes"', "writes the same answer whatever is right"),
        ('answer = "{{ text }}"', "names the unknown variable 'text' .known: answer, index, letters, options., in its answer"),
        ('answer = "{{ answer.x }}"', "reaches for the attribute 'x'"),
        ('instruction = "Read {{ text }}"', "names the unknown variable 'text'"),
        ('instruction = "One of {{ options }}"', "has an instruction that names the options. Outside classification"),
        ("instruction = 3", "has 3 as its instruction, which is no str"),
        ('separator = "Answer: "', "has the separator 'Answer: '; it may hold blanks and line breaks only"),
        ('version = "1"', "has '1' as its version, which is no int"),
        ("inverted = 1", "has 1 as its inverted, which is no bool"),
        ('shape = "sums"', "has the shape 'sums'. Known: classification, "),
        ('promt = "x"', "has the key 'promt', which is not known. Did you mean 'prompt'"),
    ],
)
def test_another_key_that_cannot_be_used_is_refused_with_the_reason(tmp_path, line, reason):
    path = write(tmp_path, f'shape = "summarization"\n[[template]]\nname = "mine"\nprompt = "{{{{ text }}}}"\n{line}\n')
    with pytest.raises(BadData, match=f"own.toml: template 'mine' {reason}"):
        read_templates(path)


def test_all_that_is_wrong_in_a_file_is_told_at_once(tmp_path):
    text = 'shape = "translation"\n[[template]]\nname = "a"\nprompt = "x"\n[[template]]\nprompt = "{{ text }}"\n'
    twice = '[[template]]\nname = "b"\nprompt = "{{ text }}"\n' * 2
    with pytest.raises(BadData) as caught:
        read_templates(write(tmp_path, text + twice))
    first, second, third = str(caught.value).splitlines()
    assert (
        "template 'a' leaves out" in first
        and "template number 2 has no name" in second
        and "'b' needs a name of its own" in third
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("shape = ", "is not valid TOML"),
        ('shape = "translation"', r"has no \[\[template\]\] tables"),
        ('template = "x"', r"has no \[\[template\]\] tables"),
        ("[[templates]]\nname = 'x'", "has the key 'templates', which is not known"),
    ],
)
def test_a_file_that_holds_no_templates_is_refused(tmp_path, text, reason):
    with pytest.raises(BadData, match=f"own.toml {reason}"):
        read_templates(write(tmp_path, text))
    with pytest.raises(BadData, match="cannot be read: " + re.escape(os.strerror(2))):
        read_templates(tmp_path / "none.toml")


def test_the_template_in_the_documents_is_read(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    example = re.search(r"```toml\n(.*?)```", page, flags=re.DOTALL)
    assert example is not None
    (template,) = read_templates(write(tmp_path, example[1]))
    prompt = few_shot_prompt(template, [("Hello", "sales", ("sales", "help"))], "Bye", options=("sales", "help"))
    assert prompt == "Sort each message into: sales, help.\n\nMessage: Hello\nTeam: sales\n\nMessage: Bye\nTeam:"
