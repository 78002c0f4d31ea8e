"""The page in a real browser, Debian's Chromium driven by playwright; the studio is a process of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from desk import announce, recording
from humming import MARKUP
from mira.plugins import find_plugins
from playwright.sync_api import BrowserContext, Page, Route, expect, sync_playwright

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--mute-audio",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@dataclass
class Desk:
    """A studio in a process of its own, which can be killed and started again."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None
    link: str = ""

    def start(self, *args: str | Path) -> None:
        """Start it, and wait for its link."""
        beats = HERE.parents[1] / "external" / "mira-beats" / "src"
        others = {info.name for info in find_plugins(sys.path)} - {"mpe", "studio"}
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MIRA_")} | {
            "PYTHONPATH": os.pathsep.join(map(str, [self.folder / "site", HERE, beats])),
            "MIRA_STORE": str(self.folder / "home" / "store.sqlite"),
            "MIRA_DISABLE": ",".join(others),
            "HUM_COVER": str(self.folder / "music" / "other.wav"),
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-m", "mira", "studio", "--no-open", "--threads", "1", *map(str, args)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, env=environment)
        assert self.process.stderr is not None
        said = self.process.stderr.readline().decode()
        self.link = re.findall(r"http://\S+", said)[0].partition("#")[0]

    def kill(self) -> None:
        """Kill it, as a crash or a power cut would."""
        assert self.process is not None and self.process.stderr is not None
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A studio with the note model, the humming plugin and the beats plugin."""
    folder = tmp_path_factory.mktemp("desk")
    announce(folder / "site", "humming", "humming")
    announce(folder / "site", "mira_beats", "mira_beats")
    recording(folder / "music" / "other.wav", seconds=40, level=0.3)
    recording(folder / "music" / f"{MARKUP}.wav", seconds=4)
    desk = Desk(folder)
    desk.start()
    yield desk
    desk.kill()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """Chromium with a profile of its own."""
    path = shutil.which("chromium")
    assert path, "the tests need Debian's chromium: apt install chromium"
    with sync_playwright() as driver:
        context = driver.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"),
            executable_path=path,
            args=FLAGS,
            viewport={"width": 1280, "height": 800},
            accept_downloads=True,
        )
        context.set_default_timeout(60000)
        expect.set_options(timeout=60000)
        yield context
        context.close()


@pytest.fixture
def page(browser: BrowserContext, desk: Desk) -> Iterator[Page]:
    """A page that has followed the link; script errors and dialogs fail the test."""
    page = browser.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    page.on(
        "console", lambda line: wrong.append(line.text) if "Content Security Policy" in line.text else None
    )
    page.goto(desk.link)
    expect(page.locator("#sample")).to_be_visible()
    yield page
    page.close()
    assert not wrong


@pytest.fixture
def piece(page: Page) -> Page:
    """The bundled piece, on screen with what mira heard, without edits."""
    page.click("#sample")
    expect(_panel(page)).to_be_visible()
    expect(page.locator(".waiting")).to_be_hidden()
    for button in page.get_by_text("Back to what mira heard").all():
        if button.is_visible():
            button.click()
    expect(page.locator("#saved")).to_have_text("")
    return page


def _panel(page: Page, command: str = "transcribe") -> Any:
    return page.locator("fieldset").filter(has=page.locator("legend", has_text=re.compile(f"^{command}$")))


def _export(page: Page, format: str = "json", command: str = "transcribe") -> bytes:
    panel = _panel(page, command)
    panel.locator("select").last.select_option(format)
    with page.expect_download() as download:
        panel.get_by_text("Export").click()
    return Path(download.value.path()).read_bytes()


def _notes(page: Page) -> dict[str, Any]:
    return json.loads(_export(page))


def _seconds(page: Page) -> float:
    minutes, seconds = page.inner_text(".clock").partition(" ")[0].split(":")
    return 60 * int(minutes) + float(seconds)


def _roll(page: Page) -> Any:
    return page.locator(".lane.grows canvas.plot")


def _picture(page: Page) -> bytes:
    return page.locator(".lanes").screenshot()


def test_the_first_page_opens_the_bundled_piece_with_one_click(page: Page) -> None:
    page.click("#sample")
    expect(_panel(page)).to_be_visible()
    expect(page.locator("h1")).to_have_text("canon.ogg")
    assert page.evaluate("performance.getEntriesByName('notes-drawn').length") == 1
    colours = page.evaluate(
        """() => { const c = document.querySelector(".lane.grows canvas.plot");
        const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data; const seen = new Set();
        for (let i = 0; i < d.length; i += 4) seen.add(d[i] << 16 | d[i + 1] << 8 | d[i + 2]);
        return seen.size }"""
    )
    assert colours > 100, "a spectrogram has many shades"
    assert len(_notes(page)["start_s"]) > 100


def test_it_plays_pauses_and_seeks(piece: Page) -> None:
    piece.keyboard.press("Space")
    expect(piece.get_by_role("button", name="Pause")).to_be_visible()
    expect(piece.locator(".clock")).not_to_have_text(re.compile(r"0:00\.[0-3]"))
    piece.keyboard.press("Space")
    expect(piece.get_by_role("button", name="Play", exact=True)).to_be_visible()
    piece.keyboard.press("Home")
    expect(piece.locator(".clock")).to_have_text(re.compile(r"0:00\.0"))
    piece.keyboard.press("Shift+ArrowRight")
    piece.keyboard.press("ArrowLeft")
    expect(piece.locator(".clock")).to_contain_text("0:04.0")
    overview = piece.locator(".lane canvas.plot").first
    box = overview.bounding_box()
    assert box
    overview.click(position={"x": box["width"] / 2, "y": 20})
    expect(piece.locator(".clock")).to_contain_text("0:16.7")


def test_it_zooms_scrolls_and_shows_all_again(piece: Page) -> None:
    piece.keyboard.press("Home")
    piece.wait_for_timeout(300)
    whole = _picture(piece)
    for _ in range(4):
        piece.keyboard.press("+")
    piece.wait_for_timeout(300)
    near = _picture(piece)
    piece.keyboard.press("PageDown")
    piece.wait_for_timeout(300)
    later = _picture(piece)
    _roll(piece).hover()
    piece.keyboard.down("Control")
    piece.mouse.wheel(0, 300)
    piece.keyboard.up("Control")
    piece.keyboard.press("0")
    piece.wait_for_timeout(300)
    assert len({whole, near, later}) == 3 and _picture(piece) == whole


def test_speed_loop_and_mix_follow_the_keys(piece: Page) -> None:
    for _ in range(20):
        piece.keyboard.press(",")
    expect(piece.locator(".bar output")).to_have_text("0.50")
    for _ in range(30):
        piece.keyboard.press(".")
    expect(piece.locator(".bar output")).to_have_text("1.50")
    piece.keyboard.press("]")
    expect(piece.locator("#mix")).to_have_value("0.1")
    piece.keyboard.press("Home")
    piece.keyboard.press("i")
    piece.keyboard.press("ArrowRight")
    piece.keyboard.press("o")
    expect(piece.get_by_role("button", name="Loop")).to_have_attribute("aria-pressed", "true")
    piece.keyboard.press("Space")
    piece.wait_for_timeout(1500)
    assert _seconds(piece) < 1.2, "it went back to the beginning of the region"
    piece.keyboard.press("Space")


def test_a_slider_decodes_anew_and_runs_no_network(piece: Page) -> None:
    before = len(_notes(piece)["start_s"])
    piece.evaluate("performance.clearMeasures()")
    piece.locator("#setting-mpe-sensitivity").focus()
    for _ in range(30):
        piece.keyboard.press("ArrowLeft")
    expect(_panel(piece).locator("output").first).to_have_text("0.2")
    piece.wait_for_timeout(300)
    assert piece.evaluate("performance.getEntriesByName('slider').length") > 0
    exported = _notes(piece)
    assert len(exported["start_s"]) < before and exported["settings"]["sensitivity"] == 0.2
    assert piece.locator(".waiting").is_hidden()
    _panel(piece).get_by_text("As tuned").click()
    piece.wait_for_timeout(300)
    assert len(_notes(piece)["start_s"]) == before


def test_notes_are_added_dragged_resized_deleted_undone_and_done_again(piece: Page) -> None:
    before = _notes(piece)
    box = _roll(piece).bounding_box()
    assert box
    x, y = box["x"] + 0.5 * box["width"], box["y"] + 0.97 * box["height"]  # low down, where no note is
    piece.mouse.dblclick(x, y)
    expect(piece.locator("#saved")).to_have_text("edited, saved")
    added = _notes(piece)
    new = set(added["start_s"]) - set(before["start_s"])
    assert len(added["start_s"]) == len(before["start_s"]) + 1 and len(new) == 1
    assert added["settings"]["edited"] is True
    piece.mouse.move(x + 2, y)
    piece.mouse.down()
    piece.mouse.move(x + 60, y - 60, steps=4)
    piece.mouse.up()
    dragged = _notes(piece)
    assert set(dragged["start_s"]) != set(added["start_s"]) and min(dragged["pitch"]) > min(added["pitch"])
    _roll(piece).focus()
    piece.keyboard.press("Alt+Shift+ArrowRight")
    assert sum(_notes(piece)["end_s"]) == pytest.approx(sum(dragged["end_s"]) + 0.02, abs=1e-4)
    _roll(piece).focus()
    piece.keyboard.press("Delete")
    assert len(_notes(piece)["start_s"]) == len(before["start_s"])
    for _ in range(4):
        piece.keyboard.press("Control+z")
    expect(piece.locator("#saved")).to_have_text("")
    assert _notes(piece) == before
    piece.keyboard.press("Control+Shift+z")
    assert len(_notes(piece)["start_s"]) == len(before["start_s"]) + 1


def test_an_edit_is_there_after_a_reload(piece: Page) -> None:
    before = len(_notes(piece)["start_s"])
    _roll(piece).focus()
    piece.keyboard.press("n")
    piece.keyboard.press("Delete")
    expect(piece.locator("#saved")).to_have_text("edited, saved")
    piece.reload()
    expect(_panel(piece)).to_be_visible()
    expect(piece.locator("#saved")).to_have_text("edited, saved")
    assert len(_notes(piece)["start_s"]) == before - 1
    assert piece.locator("#setting-mpe-sensitivity").is_disabled()


def test_an_edit_that_cannot_be_saved_stays_in_the_page_and_outlasts_it(piece: Page) -> None:
    before = len(_notes(piece)["start_s"])
    answer = {"error": "edit.json: cannot write: the disk is full; make room or choose another place"}
    piece.route("**/edits/*", lambda route: route.fulfill(status=507, json=answer))
    _roll(piece).focus()
    piece.keyboard.press("n")
    piece.keyboard.press("Delete")
    expect(piece.locator("#banner")).to_contain_text("the disk is full")
    expect(piece.locator("#saved")).to_have_text("not saved")
    assert len(_notes(piece)["start_s"]) == before - 1
    piece.unroute("**/edits/*")
    piece.reload()
    expect(piece.locator("#saved")).to_have_text("edited, saved")
    assert len(_notes(piece)["start_s"]) == before - 1


def test_chords_are_renamed_split_joined_and_exported(piece: Page) -> None:
    lane = piece.locator("canvas[aria-label^='xchords']")
    lane.scroll_into_view_if_needed()
    lane.focus()
    piece.keyboard.press("Home")
    piece.keyboard.press("n")
    piece.keyboard.press("Enter")
    piece.locator("input.rename").fill("Q:loud")
    piece.keyboard.press("Enter")
    expect(piece.locator("#banner")).to_contain_text("is no chord")
    piece.keyboard.press("Enter")
    piece.locator("input.rename").fill("G:7")
    piece.keyboard.press("Enter")
    piece.keyboard.press("Shift+ArrowRight")
    piece.keyboard.press("s")
    lines = _export(piece, "lab", "xchords").decode().splitlines()
    assert [line.split("\t")[2] for line in lines] == ["G:7", "G:7", "B:min7/b3"]
    assert lines[1].startswith("5.000000")
    lane.focus()
    piece.keyboard.press("j")
    lines = _export(piece, "lab", "xchords").decode().splitlines()
    assert [line.split("\t")[2] for line in lines] == ["G:7", "B:min7/b3"]


def test_any_plugin_gets_lanes_by_the_types_of_its_results(piece: Page) -> None:
    lanes = piece.locator(".gutter").all_inner_texts()
    for label in ("xparts", "xchords, D major", "xpoints", "xlevel (dB)", "beats"):
        assert lanes.count(label) == 1
    expect(piece.locator(".tag span").first).to_have_text(MARKUP)


def test_markup_in_names_labels_and_plugins_is_shown_as_text(page: Page, desk: Desk) -> None:
    name = f"{MARKUP}.wav"
    page.locator("input[type=file]").first.set_input_files(desk.folder / "music" / "other.wav")
    expect(_panel(page, "xhum")).to_be_visible()
    desk.kill()
    desk.start(desk.folder / "music" / name)
    page.goto(desk.link)
    page.get_by_role("button", name=name, exact=True).click()
    expect(page.locator("h1")).to_have_text(name)
    expect(_panel(page, "xhum")).to_be_visible()
    expect(page.locator(".tag span").first).to_have_text(MARKUP)
    page.locator("canvas[aria-label^='xparts']").hover(position={"x": 40, "y": 20})
    expect(page.locator(".side > .hint")).to_contain_text(MARKUP)
    assert page.locator("img").count() == 0


def test_covers_are_drawn_and_heard_at_the_same_place(piece: Page) -> None:
    piece.get_by_text("Find covers").click()
    expect(piece.locator("button.match")).to_have_text("other.wav: 88 %, +2 semitones")
    piece.locator("button.match").click()
    piece.keyboard.press("Home")
    piece.keyboard.press("Shift+ArrowRight")
    piece.get_by_text("Hear the other").click()
    expect(piece.locator(".covers .hint")).to_have_text("other.wav from 0:10.0")
    piece.get_by_text("Back to this one").click()
    expect(piece.get_by_text("Hear the other")).to_be_visible()
    assert 5 <= _seconds(piece) < 7
    piece.keyboard.press("Space")


def test_a_studio_that_was_killed_is_found_again_and_the_unsaved_edit_is_saved(
    piece: Page, desk: Desk
) -> None:
    before = len(_notes(piece)["start_s"])
    desk.kill()
    expect(piece.locator("#banner")).to_contain_text("not answering")
    _roll(piece).focus()
    piece.keyboard.press("n")
    piece.keyboard.press("Delete")
    expect(piece.locator("#saved")).to_have_text("not saved")
    desk.start()
    expect(piece.locator("#saved")).to_have_text("edited, saved")
    expect(piece.locator("#banner")).to_be_hidden()
    assert len(_notes(piece)["start_s"]) == before - 1


def test_the_warning_of_an_edit_that_was_not_saved_goes_when_it_is(piece: Page) -> None:
    refuse: list[bool] = [True]

    def answer(route: Route) -> None:
        if route.request.method == "PUT" and refuse:
            refuse.pop()
            route.abort()
        else:
            route.continue_()

    piece.route("**/edits/**", answer)
    _roll(piece).focus()
    piece.keyboard.press("n")
    piece.keyboard.press("Delete")
    expect(piece.locator("#banner")).to_contain_text("Not saved")
    piece.keyboard.press("n")
    piece.keyboard.press("Delete")
    expect(piece.locator("#saved")).to_have_text("edited, saved")
    expect(piece.locator("#banner")).to_be_hidden()


def test_help_keys_and_focus(piece: Page) -> None:
    piece.keyboard.press("?")
    expect(piece.locator("dialog#help")).to_be_visible()
    expect(piece.locator("dialog#help")).to_contain_text("split at the playhead")
    piece.keyboard.press("Escape")
    expect(piece.locator("dialog#help")).to_be_hidden()
    for _ in range(40):
        piece.keyboard.press("Tab")
        if piece.evaluate("document.activeElement.closest('.lane.grows') !== null"):
            break
    assert piece.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    piece.keyboard.press("n")
    expect(piece.locator("#said")).to_contain_text("velocity")
    unnamed = piece.evaluate(
        """() => [...document.querySelectorAll("button, input, select, canvas[tabindex]")].filter((node) =>
        !(node.textContent.trim() || node.labels?.length || node.getAttribute("aria-label"))).length"""
    )
    assert unnamed == 0


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_contrast_is_that_of_wcag_aa(piece: Page, theme: str) -> None:
    if piece.evaluate("document.documentElement.dataset.theme") != theme:
        piece.keyboard.press("d")
    names = ["ground", "raised", "sunk", "text", "soft", "accent", "on-accent", "bad", "line"]
    names += ["chord", "chord-alt"]
    colours = piece.evaluate(
        """(names) => { const style = getComputedStyle(document.documentElement);
        const value = (name) => style.getPropertyValue("--" + name).trim();
        return Object.fromEntries(names.map((name) => [name, value(name)])) }""",
        names,
    )
    pairs = [(text, ground, 4.5) for text in ("text", "soft", "bad") for ground in ("ground", "raised")]
    pairs += [("text", "chord", 4.5), ("text", "chord-alt", 4.5), ("accent", "chord", 4.5)]
    pairs += [("on-accent", "accent", 4.5), ("soft", "sunk", 4.5)]
    pairs += [("line", "ground", 3.0), ("line", "raised", 3.0), ("accent", "sunk", 3.0)]
    for text, ground, least in pairs:
        assert _contrast(colours[text], colours[ground]) >= least, f"{text} on {ground}"
    piece.keyboard.press("d")


def _contrast(first: str, second: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)
