"""A report's page: complete, the same again, and, in a browser, what a reader does with it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import fields, is_dataclass, replace
from html import unescape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from models import plain, reflecting, sums
from reflectkit import compare
from reflectkit.comparison import Report
from reflectkit.comparison.report import as_html, as_markdown, pictures, plots, summarised, write
from reflectkit.comparison.report.items import as_data
from reflectkit.comparison.stats.intervals import Figure
from reflectkit.comparison.stats.paired import Difference
from reports import ARMS, facts, problems, records, report
from test_report import HOSTILE, Page, made


@pytest.fixture(scope="module")
def whole() -> Report:
    """A report in which nothing is missing."""
    return report(n=45, repeats=2)


def found_in(value: Any, kind: type) -> list[Any]:
    """All values of a kind, however deep."""
    if isinstance(value, kind):
        return [value]
    if is_dataclass(value) and not isinstance(value, type):
        return [x for f in fields(value) for x in found_in(getattr(value, f.name), kind)]
    if isinstance(value, dict):
        return [x for each in value.values() for x in found_in(each, kind)]
    if isinstance(value, (tuple, list)):
        return [x for each in value for x in found_in(each, kind)]
    return []


#: How figures are written: in percent, in points, as shares without digits, as they are.
SHAPES = [
    (scale, "{:FORM} [{:FORM}, {:FORM}]".replace("FORM", form))
    for scale, form in ((100, ".1f"), (100, "+.1f"), (100, ".0f"), (1, ".1f"), (1, ".2f"))
]


def words_of(page: str) -> str:
    return " ".join(Page(page).text).replace("\xa0", " ")


# --- nothing is missing


def test_every_difference_is_in_words_and_on_the_page(whole: Report) -> None:
    shown, written = words_of(as_html(whole)), as_markdown(whole)
    differences = found_in(whole, Difference)
    assert len(differences) > 20
    for found in differences:
        said = f"{100 * found.value:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
        assert said in shown
        assert said in written


def test_every_figure_is_in_words_and_on_the_page(whole: Report) -> None:
    bins = found_in([a.bins for a in whole.assurance.values()], Figure)
    shown, written = words_of(as_html(whole)), as_markdown(whole)
    figures = [f for f in found_in(whole, Figure) if f.value is not None and f not in bins]
    assert len(figures) > 40
    for figure in figures:
        said = [
            shape.format(*(scale * v for v in (figure.value, figure.low, figure.high)))
            for scale, shape in SHAPES
        ]
        assert any(one in shown for one in said), figure
        assert any(one in written for one in said), figure


def test_pages_have_headings_captions_and_names_for_everything(whole: Report) -> None:
    page = Page(as_html(whole))
    tags = [tag for tag, _ in page.tags]
    assert tags.count("h1") == 1
    assert tags.count("caption") == tags.count("table") > 8
    assert tags.count("svg") == tags.count("figcaption") == len(plots(whole)) == 7
    assert tags.count("desc") == 7
    for tag, attributes in page.tags:
        if tag in ("input", "select", "svg", "nav") or attributes.get("role") == "region":
            assert attributes.get("aria-label"), (tag, attributes)
    assert {a.get("scope") for t, a in page.tags if t == "th"} == {"col", "row"}
    names = [a["id"] for _, a in page.tags if a.get("id")]
    assert len(set(names)) == len(names)
    for _, attributes in page.tags:
        if (attributes.get("href") or "").startswith("#"):
            assert str(attributes["href"])[1:] in names


def test_a_report_that_was_saved_gives_the_same_files(whole: Report, tmp_path: Path) -> None:
    paths = [*write(whole, tmp_path / "a"), *pictures(whole, tmp_path / "a")]
    again = Report.from_json((tmp_path / "a" / "report.json").read_text("utf-8"))
    write(again, tmp_path / "b"), pictures(again, tmp_path / "b")
    assert len(paths) == 10
    for path in paths:
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def light(colour: str) -> float:
    """Relative luminance, as WCAG 2 has it."""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1])
def test_words_stand_out_from_their_ground(whole: Report, scheme: int) -> None:
    """4.5 to 1, in light and in dark."""
    roots = re.findall(r":root \{(.*?)\}", as_html(whole), re.DOTALL)
    assert len(roots) == 2
    paint = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", roots[scheme]))
    pairs = [(a, b) for a in ("ink", "soft", "trained") for b in ("ground", "card")]
    pairs += [("on", "good"), ("on", "bad"), ("on", "soft"), ("ink", "mark")]
    for a, b in pairs:
        low, high = sorted((light(paint[a]), light(paint[b])))
        assert (high + 0.05) / (low + 0.05) >= 4.5, (a, b)


# --- what is said


def test_tokens_are_those_of_the_two_arms_that_are_compared(whole: Report) -> None:
    spent = {arm.name: arm.cost.completion.value or 0.0 for arm in whole.arms}
    said = next(s for s in whole.sentences if "“prompted”" in s and "“trained”" in s)
    assert f"{spent['trained'] / spent['prompted']:.2f} times the tokens" in said
    said = next(s for s in whole.sentences if "“trained”" in s and "equal tokens”" in s)
    assert "about as many tokens" in said


def test_the_first_sentence_is_about_training(whole: Report) -> None:
    assert whole.sentences[0].startswith("“trained” is right more often than “plain”")
    assert "equal tokens" in whole.sentences[1]


@pytest.mark.parametrize("repeats", [1, 4])
def test_the_smallest_difference_goes_with_the_interval(repeats: int) -> None:
    """80 % power takes 2.8 standard errors, an interval has 1.96 on each side."""
    found = report(n=200, repeats=repeats)
    first = found.pairs[0].found
    assert found.smallest == pytest.approx(2.8 / 1.96 * (first.high - first.low) / 2, rel=0.12)


# --- pages that stay small enough


def test_texts_are_shortened_and_problems_left_out_to_fit() -> None:
    own = problems(40)
    long = summarised(records(40, 2, length=60), facts(own, 2), draws=20)
    everything, note = as_data(long.items)
    assert note == ""
    size = len(everything.encode())
    shorter, note = as_data(long.items, size - 1)
    assert "cut after" in note
    assert len(json.loads(shorter)) == 40
    assert len(shorter.encode()) < size
    fewer, note = as_data(long.items, 30_000)
    assert len(fewer.encode()) <= 30_000
    assert f"first {len(json.loads(fewer))} of 40 problems" in note
    assert note in unescape(as_html(long, largest=30_000))
    nothing, note = as_data(long.items, 10)
    assert json.loads(nothing) == []


def test_what_was_cut_is_counted() -> None:
    long = summarised(records(3, 1, length=80), facts(problems(3), 1), draws=20)
    whole_text = [len(s.text) + s.cut for i in long.items for a in i.answers for s in a.sections]
    data, _ = as_data(long.items, 9_000)
    shown = [
        len(s["text"]) + s.get("cut", 0)
        for item in json.loads(data)
        for answer in item["answers"]
        for s in answer["sections"]
    ]
    assert shown == whole_text[: len(shown)]
    assert max(whole_text) > 2_000


def test_hostile_names_of_arms_and_tasks() -> None:
    """They stand in tables, pictures and sentences, and in Markdown too."""
    names = {arm: f"{HOSTILE}\n## {arm}" for arm in ARMS}
    own = [replace(p, task=f"{HOSTILE} {p.task}") for p in problems(12)]
    rows = [replace(r, arm=names[r.arm]) for r in records(12, 1)]
    told = replace(
        facts(own, 1), kinds={names[a]: kind for a, (kind, *_) in ARMS.items()}, likes={}
    )
    bad = summarised(rows, told, draws=20, title=f"{HOSTILE}\n\n## no heading\n\n| a | b |")
    page = Page(as_html(bad))
    assert not [t for t, _ in page.tags if t == "img"]
    assert not set("\u202e\0\ud800") & set(" ".join(page.text))
    assert [t for t, _ in page.tags].count("script") == 2
    written = as_markdown(bad)
    assert not set("\u202e\0\ud800") & set(written)
    assert "<img" not in written
    assert "<script" not in written
    headings = [line for line in written.splitlines() if line.startswith("#")]
    assert all("taken" not in line for line in headings[1:])
    for block in re.findall(r"(?:^\|.*\n)+", written, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1


def test_pictures_hold_nothing_that_xml_forbids(tmp_path: Path) -> None:
    rows = [replace(r, arm=f"{r.arm}{HOSTILE}") for r in records(9, 1)]
    told = replace(
        facts(problems(9), 1), kinds={f"{a}{HOSTILE}": k for a, (k, *_) in ARMS.items()}, likes={}
    )
    for path in pictures(summarised(rows, told, draws=20), tmp_path):
        assert ElementTree.parse(path).getroot().tag.endswith("svg")


# --- in a browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
#: Set where a missing browser is an error.
REQUIRED = "REFLECTKIT_REQUIRE_BROWSER"


@pytest.fixture(scope="module")
def browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        message = f"no browser: none of {', '.join(BROWSERS)} is installed"
        if os.environ.get(REQUIRED):
            pytest.fail(f"{message}, and {REQUIRED} is set")
        pytest.skip(message)
    return found


def seen(browser: str, page: Path, folder: Path, address: str = "") -> Page:
    """The page as a browser makes it of the file."""
    done = subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            f"--user-data-dir={folder}", "--virtual-time-budget=3000", "--dump-dom",
            f"{page.as_uri()}{address}",
        ],
        capture_output=True, timeout=120, check=True,
    )  # fmt: skip
    return Page(done.stdout.decode())


async def test_a_browser_shows_a_problem_with_its_sections(browser: str, tmp_path: Path) -> None:
    found = await compare(sums(60), {"plain": plain(), "trained": reflecting()}, draws=100)
    write(found, tmp_path)
    page = seen(browser, tmp_path / "report.html", tmp_path / "profile", "#problem-sum-55")
    shown = [a for t, a in page.tags if t == "details" and "open" in a]
    assert [a["id"] for a in shown] == ["problem-sum-55"]
    classes = [str(a.get("class")) for t, a in page.tags if t == "div"]
    kinds = " ".join(name.removeprefix("part ") for name in classes if name.startswith("part"))
    assert kinds.startswith("output thinking reflection thinking output")
    assert "60 of 60 problems, page 2 of 2" in " ".join(page.text)
    assert len([a for t, a in page.tags if t == "option"]) > 8


def test_a_browser_runs_nothing_that_a_model_wrote(browser: str, tmp_path: Path) -> None:
    write(replace(made(3, text=HOSTILE), title="ours"), tmp_path)
    page = seen(browser, tmp_path / "report.html", tmp_path / "profile", "#problem-sum-1")
    assert not [t for t, _ in page.tags if t == "img"]
    text = " ".join(page.text)
    assert 'document.title="taken"' in text
    assert "⟨U+202E⟩ ⟨U+0000⟩" in text  # it turns no line around, and hides nothing
    assert not set("\u202e\0") & set(text)
    assert "ours" in text


def test_the_pages_policy_stops_what_is_not_its_own(
    browser: str, whole: Report, tmp_path: Path
) -> None:
    """If a text ever came through, it would still not run."""
    foreign = '<script>document.body.id = "taken"</script><p onclick="1" id="foreign"></p>'
    text = as_html(whole).replace("</body>", f"{foreign}</body>")
    (tmp_path / "page.html").write_text(text, "utf-8")
    page = seen(browser, tmp_path / "page.html", tmp_path / "profile")
    names = {a.get("id") for _, a in page.tags}
    assert "foreign" in names
    assert "taken" not in names
    assert any(str(name).startswith("problem-") for name in names)  # its own script ran


@pytest.mark.parametrize("address", ["#problem-nobody", "#arms"])
def test_addresses_of_nothing_do_no_harm(
    browser: str, whole: Report, tmp_path: Path, address: str
) -> None:
    write(whole, tmp_path)
    page = seen(browser, tmp_path / "report.html", tmp_path / "profile", address)
    details = [a for t, a in page.tags if t == "details"]
    assert len(details) == len(whole.items)
    assert not [a for a in details if "open" in a]


@pytest.mark.parametrize("name", ["100%", "%E0%A4%A", "a b", "s"])
def test_problems_of_any_name_have_an_address(
    browser: str, whole: Report, tmp_path: Path, name: str
) -> None:
    named = replace(whole, items=(*whole.items[:3], replace(whole.items[3], id=name)))
    write(named, tmp_path)
    page = seen(browser, tmp_path / "report.html", tmp_path / "profile", f"#problem-{name}")
    opened = [a["id"] for t, a in page.tags if t == "details" and "open" in a]
    assert opened == [f"problem-{name}"]


def test_readers_filter_search_and_turn_pages(browser: str, tmp_path: Path) -> None:
    """The page's own script, with the hands of a reader: a second script, without the policy."""
    found = report(n=120, repeats=1)
    (tmp_path / "page.html").write_text(driven(as_html(found)), "utf-8")
    page = seen(browser, tmp_path / "page.html", tmp_path / "profile")
    log = json.loads(" ".join(page.text).partition("LOG")[2].partition("END")[0])
    items = {item.id: item for item in found.items}

    def right(item: str, arm: str) -> bool:
        return next(a.outcome for a in items[item].answers if a.arm == arm) == "right"

    assert log["pages"] == [50, 50, 20]
    wanted = [i for i in items if right(i, "plain") and not right(i, "trained")]
    assert log["pair"] == wanted[:50]
    assert 0 < len(wanted) < 120
    assert log["task"] == [i for i in items if items[i].task == "logic"]
    assert log["search"] == [i for i in items if "88 hens" in items[i].prompt]
    assert log["none"] == [i for i in items if not any(right(i, arm) for arm in ARMS)]
    assert log["sections"] == [len(a.sections) for a in items["item-88"].answers]


def driven(page: str) -> str:
    """Without its policy, and with somebody who clicks."""
    hands = """
    <pre id="log"></pre><script>
    (async () => {
      const the = (id) => document.getElementById(id);
      const ids = () => [...document.querySelectorAll("details")].map((d) => d.id.slice(8));
      const set = (id, value, event) => {
        the(id).value = value;
        the(id).dispatchEvent(new Event(event));
      };
      const log = { pages: [ids().length] };
      the("on").click(); log.pages.push(ids().length);
      the("on").click(); log.pages.push(ids().length);
      set("pattern", JSON.stringify(["plain", "trained"]), "change"); log.pair = ids();
      set("pattern", "none", "change"); log.none = ids();
      set("pattern", "", "change");
      set("task", "=logic", "change"); log.task = ids();
      set("task", "", "change");
      set("search", "88 HENS", "input");
      await new Promise((done) => setTimeout(done, 400));
      log.search = ids();
      document.querySelector("summary").click();
      await new Promise((done) => setTimeout(done, 100));
      log.sections = [...document.querySelectorAll(".answer")].map(
        (a) => a.querySelectorAll(".part").length,
      );
      the("log").textContent = "LOG" + JSON.stringify(log) + "END";
    })();
    </script>"""
    without = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    assert without != page
    return without.replace("</body>", f"{hands}</body>")
