"""The report as a page: sound, closed to the outside, true to the record, and readable on a phone and a screen."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pytest

import sample
from hone.compare.records import Comparison
from hone.compare.report import figures, render, render_report, views, words
from hone.compare.schema import SCHEMA_FILE, comparison_schema
from hone.core import scales
from hone.measure.cost import human_bytes, human_count, human_seconds

SAMPLES = sample.samples()
PAGES = {name: render_report(comparison) for name, comparison in SAMPLES.items()}
CHROMIUM = Path("/usr/bin/chromium")
CSS = (Path(render.__file__).parent / "report.css").read_text(encoding="utf-8")
_VOID = {"meta", "link", "input", "br", "img", "hr", "wbr", "base", "source"}


class Page(HTMLParser):
    """Tags with their attributes, texts by the nearest id of a section, and the open tags as a stack."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.headline: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]} at line {self.getpos()[0]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.open and {"h1", "dl"} & set(self.open) and "section" in self.open:
            self.headline.append(data)


PARSED = {name: Page(page) for name, page in PAGES.items()}


@pytest.mark.parametrize("name", PAGES)
def test_every_tag_is_closed_and_every_id_is_unique(name: str):
    page = PARSED[name]
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {attributes["href"][1:] for tag, attributes in page.tags if tag == "a"}
    assert targets <= set(ids)


@pytest.mark.parametrize("name", PAGES)
def test_the_page_refers_to_nothing_outside(name: str):
    for tag, attributes in PARSED[name].tags:
        for attribute, value in attributes.items():
            assert not attribute.startswith("on"), (tag, attribute)
            if attribute in {"src", "href", "srcset", "action", "data", "poster", "xlink:href"}:
                assert value.startswith("#") or value == "data:,", (tag, attribute, value)
            assert attribute == "title" or "://" not in value, (tag, attribute, value)
    assert "url(" not in CSS
    assert "@import" not in CSS


@pytest.mark.parametrize("name", PAGES)
def test_what_scrolls_has_a_name_for_who_does_not_see_it(name: str):
    scrolled = [attributes for _, attributes in PARSED[name].tags if attributes.get("class") == "scroll"]
    assert scrolled
    assert all(each["role"] == "region" and each["aria-label"] for each in scrolled)


def test_the_words_on_the_page_hold_in_light_and_dark_and_for_neighbours():
    text = PAGES["two_classes"]
    assert "darker" not in text and "the stronger the colour" in text
    assert "Prompts tried" not in "".join(PAGES.values())
    assert "about 95 hold the value" in text


def test_hostile_text_stays_text():
    page, text = PARSED["hostile"], PAGES["hostile"]
    tags = [tag for tag, _ in page.tags]
    assert (tags.count("script"), tags.count("style"), tags.count("h1"), tags.count("main")) == (1, 1, 1, 1)
    assert not {"img", "iframe", "object", "u"} & set(tags)
    shown = "".join(page.texts)
    assert "<script>alert('x')</script><img src=https://evil.example/x.png onerror=alert(1)> </style></svg> {{ 7 * 7 }}" in shown
    assert "\x00" not in text
    assert "␀␇" in shown


def test_a_label_cannot_turn_the_words_after_it():
    assert views.readable("a\u202eevil, שלום") == "a�evil, שלום"


def test_a_text_of_100000_letters_is_cut_and_its_length_is_said():
    assert "x" * 1000 not in PAGES["hostile"]
    assert f"of {len(sample.HOSTILE):,} letters" in PAGES["hostile"]


@pytest.mark.parametrize("name", PAGES)
def test_every_number_of_the_headline_stands_in_the_record(name: str):
    comparison = SAMPLES[name]
    row = words.row_of(comparison, comparison.recommended.strategy)
    assert row is not None
    value = row.metrics[comparison.task.metric]
    text = PAGES[name]
    head = re.sub(r"<[^>]+>", " ", text[text.index("<h1>") : text.index("</dl>")])
    known = [
        f"{100 * each:.1f}" for each in (value.value, value.low, value.high, comparison.recommended.minimal_detectable_difference)
    ]
    known += [f"{value.n:,}", human_seconds(row.cost.train_seconds), human_bytes(row.cost.bytes_on_disk)]
    known += [human_count(row.cost.trainable_parameters), f"{row.cost.latency_ms_median:.0f} ms", "95%", "80%", "F1"]
    known += [human_seconds(row.cost.estimate.seconds)] if row.cost.estimate else []
    if row.difference is not None:
        known += [f"{abs(100 * row.difference.value):.1f}", f"{row.difference.p_holm:.3f}"]
        assert ("clearly worse" in head) == words.is_significant(row.difference)
    else:
        known += [str(len(comparison.rows))]
    for word in sorted(known[:6], key=len):
        assert word in head
    allowed = {number for word in known for number in re.findall(r"[\d.,]*\d", word)}
    assert set(re.findall(r"[\d.,]*\d", head)) <= allowed


@pytest.mark.parametrize("name", PAGES)
def test_every_strategy_and_reason_appears(name: str):
    comparison, shown = SAMPLES[name], "".join(PARSED[name].texts)
    for row in comparison.rows:
        assert row.title in shown
        assert f"{100 * row.metrics[comparison.task.metric].value:.1f}" in shown
    for sentence in (*comparison.recommended.because, *comparison.recommended.would_change):
        assert sentence in shown


def test_missing_parts_leave_no_empty_sections():
    assert 'id="learning"' not in PAGES["two_classes"]
    assert 'id="mistakes"' not in PAGES["nulls"]
    assert 'id="not-run"' not in PAGES["two_classes"]
    assert "Whether more labelled rows would help was not measured." in PAGES["nulls"]
    assert "None" not in "".join(PARSED["nulls"].texts)


def test_another_version_that_renders_is_named():
    comparison = SAMPLES["two_classes"]
    assert "page made by hone 9.9" in render_report(comparison, version="9.9")
    assert "page made by" not in render_report(comparison, version=comparison.hone_version)


def test_the_report_loads_no_torch():
    code = (
        "import sys; import hone.compare.report, hone.compare.table; from hone.compare.records import Comparison;"
        "hone.compare.report.render_report(Comparison.model_validate_json(sys.stdin.read()));"
        "print([name for name in ('torch', 'transformers', 'sklearn') if name in sys.modules])"
    )
    text = SAMPLES["two_classes"].to_json()
    done = subprocess.run([sys.executable, "-c", code], input=text, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---- schema ----


def test_the_schema_file_equals_the_records():
    assert json.loads(SCHEMA_FILE.read_text(encoding="utf-8")) == comparison_schema(), "run: python -m hone.compare.schema"


@pytest.mark.parametrize("name", SAMPLES)
def test_a_written_comparison_validates_and_reads_back(name: str):
    text = SAMPLES[name].to_json()
    jsonschema.Draft202012Validator(comparison_schema()).validate(json.loads(text))
    assert Comparison.model_validate_json(text) == SAMPLES[name]


def test_the_schema_refuses_an_unknown_field_and_a_missing_one():
    validator = jsonschema.Draft202012Validator(comparison_schema())
    whole = json.loads(SAMPLES["two_classes"].to_json())
    assert not validator.is_valid(whole | {"surprise": 1})
    assert not validator.is_valid({name: value for name, value in whole.items() if name != "seed"})


# ---- figures and what they show ----


def test_labels_of_crowded_points_neither_overlap_nor_leave_the_figure():
    points = [(200.0 + 6 * index, 80.0 + 3 * (index % 3)) for index in range(9)]
    texts = [f"strategy number {index}" for index in range(9)]
    area = scales.Box(0, 0, 760, 400)
    boxes = scales.place_labels(points, texts, area=area, size=12)
    for index, box in enumerate(boxes):
        assert area.holds(box)
        assert not any(box.overlaps(other) for other in boxes[index + 1 :])


def test_ticks_are_round_and_inside():
    assert scales.linear_ticks(41.3, 93.8, count=5) == [50, 60, 70, 80, 90]
    assert [name for _, name in scales.time_ticks(2, 700)] == ["3 s", "10 s", "30 s", "1 min", "3 min", "10 min"]


def test_times_that_lie_close_have_ticks_that_show_the_scale():
    assert [name for _, name in scales.time_ticks(150, 1100)] == ["3 min", "4 min", "5 min", "7 min", "10 min", "15 min"]
    assert [name for _, name in scales.time_ticks(0.4, 1.6)] == ["500 ms", "700 ms", "1 s", "1.5 s"]


def test_every_figure_has_a_title_and_a_description():
    comparison = SAMPLES["many_classes"]
    assert comparison.learning_curve is not None
    metric = comparison.rows[0].metrics["accuracy"]
    svgs = [
        figures.pareto_figure(comparison, name="a"),
        figures.curve_figure(comparison.learning_curve, metric="accuracy", title="LoRA", name="a"),
        figures.confusion_figure(comparison.rows[0], comparison.task.labels, name="a"),
        figures.interval_figure(metric, (0.5, 1.0), best=0.9, name="a", is_marked=False),
    ]
    for svg in svgs:
        page = Page(svg)
        assert page.open == []
        assert 'role="img" aria-labelledby="a-title a-desc"' in svg
        assert [tag for tag, _ in page.tags[:3]] == ["svg", "title", "desc"]


def test_confused_pairs_come_by_count_and_hold_no_right_answers():
    row = SAMPLES["eight"].rows[-1]
    pairs = views.confused_pairs(row, SAMPLES["eight"].task.labels, count=10_000)
    assert [pair.count for pair in pairs] == sorted((pair.count for pair in pairs), reverse=True)
    assert all(pair.true != pair.answered for pair in pairs)
    wrong = sum(map(sum, row.confusion)) - sum(row.confusion[index][index] for index in range(8))
    assert sum(pair.count for pair in pairs) == wrong


def test_answers_to_a_mistake_are_grouped_with_nobody_lost():
    comparison = SAMPLES["eight"]
    for mistake in comparison.mistakes:
        answers = views.grouped_answers(mistake, views.titles(comparison))
        assert sum(len(answer.given_by) for answer in answers) == len(comparison.rows)
        assert [answer.is_right for answer in answers] == sorted((answer.is_right for answer in answers), reverse=True)


def _luminance(colour: str) -> float:
    parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", [0, 1])
def test_every_colour_of_text_reaches_contrast_aa_on_every_ground(theme: int):
    colours = {name: pair.split(", ")[theme] for name, pair in re.findall(r"--([a-z-]+): light-dark\((.+?)\);", CSS)}
    pairs = [(text, ground) for text in ("ink", "muted", "accent", "warn") for ground in ("paper", "raised", "accent-ground")]
    for text, ground in [*pairs, ("paper", "accent")]:
        bright, dark = sorted((_luminance(colours[text]), _luminance(colours[ground])), reverse=True)
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, (text, ground)


# ---- in a browser ----


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """Chromium, once for all tests."""
    if not CHROMIUM.exists():
        pytest.skip("/usr/bin/chromium is not installed (apt-get install chromium)")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=flags)
        yield chromium
        chromium.close()


@pytest.mark.parametrize("name", PAGES)
def test_in_a_browser_nothing_overflows_overlaps_complains_or_loads(browser, tmp_path: Path, name: str):
    file = tmp_path / f"{name}.html"
    file.write_text(PAGES[name], encoding="utf-8")
    complaints: list[str] = []
    page = browser.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url[:200]) if request.url != file.as_uri() else None)
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    for width in (390, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(file.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(_OVERLAPS) == []
    # Everything opened, as for print, still fits.
    page.set_viewport_size({"width": 390, "height": 900})
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()
    assert complaints == []


_OVERLAPS = """() => {
  const found = [];
  for (const svg of document.querySelectorAll('svg.plot')) {
    const frame = svg.getBoundingClientRect();
    if (!frame.width) continue;
    const boxes = [...svg.querySelectorAll('text')].map(each => [each.textContent, each.getBoundingClientRect()]);
    boxes.forEach(([text, a], index) => {
      if (a.left < frame.left - 1 || a.right > frame.right + 1) found.push('cut: ' + text);
      for (const [other, b] of boxes.slice(index + 1))
        if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3)
          found.push(text + ' / ' + other);
    });
  }
  return found;
}"""


def test_in_a_browser_the_table_sorts_and_the_theme_turns_without_script_help(browser, tmp_path: Path):
    file = tmp_path / "page.html"
    file.write_text(PAGES["eight"], encoding="utf-8")
    page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme="light")
    page.goto(file.as_uri())
    page.click("table.results thead th:nth-child(7) button")
    times = page.eval_on_selector_all("table.results tbody td[data-label=Training]", "all => all.map(each => +each.dataset.sort)")
    assert times == sorted(times)
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("label[for=theme-dark]")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    page.close()
