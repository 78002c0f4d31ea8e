"""How quick the studio is in a headless browser, how small when idle, and which requests it refuses.

Needs the extras ``[studio]`` and ``[dev]``, and Debian's Chromium. The user's store and cache stay untouched.
"""

from __future__ import annotations

import argparse
import http.client
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import numpy as np
from measure import MIRA, music, verdict, write_clip
from mira.cli.resume import made_by
from mira.plugins import load_plugins
from mira.results import Notes
from mira.store import Store, digest_of, result_key
from mira.writers import About
from mira.writers.json import record
from playwright.sync_api import Page, sync_playwright

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--mute-audio",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
NOTES = 10_000

EMPTY = """async () => {
  const seen = [];
  for (let turn = 0; turn < 120; turn++) seen.push(await new Promise(requestAnimationFrame));
  return seen;
}"""
FRAMES = """async (move) => {
  const lanes = document.querySelector(".lanes"), seen = [];
  const event = (turn) => move === "scroll"
    ? { deltaY: turn % 120 < 60 ? 40 : -40, shiftKey: true }
    : { deltaY: turn % 120 < 60 ? -20 : 20, ctrlKey: true };
  for (let turn = 0; turn < 180; turn++) {
    lanes.dispatchEvent(new WheelEvent("wheel", { ...event(turn), bubbles: true, cancelable: true }));
    seen.push(await new Promise(requestAnimationFrame));
  }
  return seen;
}"""
SLIDE = """async () => {
  const slider = document.getElementById("setting-mpe-sensitivity");
  performance.clearMeasures();
  for (let turn = 1; turn <= 20; turn++) {
    slider.value = 0.3 + 0.02 * turn;
    slider.dispatchEvent(new Event("input"));
    while (performance.getEntriesByName("slider").length < turn) await new Promise(requestAnimationFrame);
  }
  return performance.getEntriesByName("slider").map((entry) => entry.duration);
}"""
FOREIGN = [
    "../../../etc/passwd",
    "/etc/passwd",
    "file:///etc/passwd",
    "0" * 16,
    "a\0b",
    "..\\..\\x",
    "./x",
    "~/x",
]


def main() -> int:
    """Measure, print, and say whether the claims hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio", type=Path, help="folder of recordings to play over and over")
    recordings = music(parser.parse_args().audio)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        clips = {minutes: home / f"{minutes} min.wav" for minutes in (1, 5, 10)}
        for minutes, clip in clips.items():
            write_clip(clip, 60 * minutes, recordings)
        store = home / "store.sqlite"
        _keep_many_notes(store, clips[5])
        with _studio(store, clips.values()) as (process, link), _browser(home / "profile") as page:
            return _measured(page, process, link)


def _measured(page: Page, process: subprocess.Popen[bytes], link: str) -> int:
    most = _rate(page.evaluate(EMPTY))
    page.goto(link)
    _wait_for_jobs(page)
    _open(page, "5 min.wav")
    page.reload()  # what is measured begins with everything there, as the claim says
    page.get_by_text("Export").first.wait_for()
    drawn_s = page.evaluate("performance.getEntriesByName('notes-drawn')[0].startTime") / 1000
    for _ in range(3):
        page.keyboard.press("+")
    rates = {move: _rate(page.evaluate(FRAMES, move)) for move in ("scroll", "zoom")}
    slides = {}
    for minutes in (1, 10):
        page.click("#home")
        _open(page, f"{minutes} min.wav")
        slides[minutes] = page.evaluate(SLIDE)[2:]
    idle_mib = _resident(process.pid)
    asked, let_in = _foreign(link)
    print(f"{NOTES} notes of 5 minutes on screen {drawn_s:.2f} s after the page was asked for")
    shown = ", ".join(f"{move} {rate:.0f}" for move, rate in rates.items())
    print(f"frames a second: {shown}; {most:.0f} on an empty page")
    for minutes, times in slides.items():
        print(f"slider, {minutes} min: {statistics.median(times):.0f} ms, at most {max(times):.0f} ms")
    print(f"server when idle: {idle_mib:.0f} MiB resident")
    print(f"requests for files outside the library: {asked}, let in: {let_in}")
    return verdict(
        {
            "10,000 notes of five minutes are drawn within 1 s": drawn_s <= 1.0,
            "it scrolls and zooms at 50 frames a second": min(rates.values()) >= 50,
            "a slider answers within 100 ms for a minute": statistics.median(slides[1]) <= 100,
            "a slider answers within 300 ms for ten minutes": statistics.median(slides[10]) <= 300,
            "the server is below 300 MB when idle": idle_mib * 1.048576 < 300,
            "no file outside the library is let out": not let_in,
        }
    )


def _keep_many_notes(store: Path, clip: Path) -> None:
    """Put a result of 10,000 notes into the store, as if the model had heard it."""
    generator = np.random.default_rng(0)
    start_s = np.sort(generator.uniform(0, 299, NOTES))
    end_s = start_s + generator.uniform(0.05, 0.8, NOTES)
    pitch = generator.integers(21, 109, NOTES)
    loud, sure = generator.integers(20, 127, NOTES), generator.uniform(0.2, 1, NOTES)
    notes = Notes(300.0, start_s, end_s, pitch, loud, sure, tuple(np.zeros((1, 2)) for _ in pitch))
    graphs, settings = made_by(load_plugins().task("mpe"), {})
    content = digest_of(str(clip))
    with closing(Store(store, print)) as kept:
        key = result_key(content, "mpe", graphs, settings)
        kept.put(key, content, "mpe", record(notes, About(str(clip), "mpe", {}, settings)))


@contextmanager
def _studio(store: Path, clips: object) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    others = {info.name for info in load_plugins().infos} - {"mpe", "studio"}
    environment = os.environ | {"MIRA_STORE": str(store), "MIRA_DISABLE": ",".join(others)}
    command = [*MIRA, "studio", "--no-open", *map(str, clips)]  # type: ignore[call-overload]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env=environment)
    assert process.stderr is not None
    link = re.findall(r"http://\S+", process.stderr.readline().decode())
    try:
        yield process, link[0] if link else sys.exit("the studio did not start")
    finally:
        process.kill()
        process.wait()


@contextmanager
def _browser(profile: Path) -> Iterator[Page]:
    path = shutil.which("chromium") or sys.exit("this needs Debian's chromium: apt install chromium")
    with sync_playwright() as driver:
        context = driver.chromium.launch_persistent_context(
            profile, executable_path=path, args=FLAGS, viewport={"width": 1280, "height": 800}
        )
        context.set_default_timeout(300_000)
        yield context.pages[0]
        context.close()


def _wait_for_jobs(page: Page) -> None:
    page.get_by_role("button", name="10 min.wav", exact=True).wait_for()
    while page.get_by_text("Cancel").count():
        page.wait_for_timeout(500)


def _open(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()
    page.get_by_text("Export").first.wait_for()


def _rate(frames: list[float]) -> float:
    return 1000 * (len(frames) - 1) / (frames[-1] - frames[0])


def _resident(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024


def _foreign(link: str) -> tuple[int, int]:
    """Ask for files outside the library, with the right secret: how many requests, how many let in."""
    found = re.fullmatch(r"http://([\d.]+):(\d+)/\?token=([\w-]+).*", link)
    assert found
    host, port, token = found.groups()
    headers = {"Host": f"{host}:{port}", "Cookie": f"mira-studio-{port}={token}"}
    forms = [f for name in FOREIGN for f in {name, quote(name, safe=""), quote(quote(name, safe=""))}]
    sent = [form for form in forms if form.isprintable() and " " not in form]
    asked = let_in = 0
    for form in sent:
        for path in (f"/static/{form}", f"/api/tracks/{form}/audio", f"/{form}"):
            connection = http.client.HTTPConnection(host, int(port))
            connection.putrequest("GET", path, skip_host=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            asked += 1
            let_in += connection.getresponse().status < 400
            connection.close()
    return asked, let_in


if __name__ == "__main__":
    sys.exit(main())
