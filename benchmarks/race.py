"""The race of viewers: a study opened in a fresh browser over a slow line, scrolled, windowed."""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from playwright.async_api import Browser, Page, Playwright, async_playwright

from benchmarks.data import CT, DX, InstanceFile, UidFactory, make_series
from benchmarks.ingest import Progress
from benchmarks.ohif import ohif_serving
from benchmarks.peers import REPOSITORY, lifeboat_web
from benchmarks.processes import BenchmarkError, require_program
from benchmarks.relay import Passed
from benchmarks.render_peers import fill_lifeboat

LIFEBOAT: Final = "Lifeboat"
OHIF: Final = "OHIF"
SLICES: Final = 200
QUICK_SLICES: Final = 20
MOST_ROUNDS: Final = 3
"""A round takes five minutes and more: there are no more, however many the others have."""
PROGRAMS: Final = ("chromium", "Orthanc", "nginx", "npm")
"""What must be installed; Orthanc with its DICOMweb plugin."""
_PROBE: Final = Path(__file__).with_name("browser_probe.js")
_FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND,EXCLUDE 127.0.0.1",
)
_WINDOW: Final = {"width": 1600, "height": 1000}
_SETTLED_S: Final = 3.0
"""So long a browser is open before it is sent to a study: it starts many things of its own."""
_FIRST_LIMIT_S: Final = 180.0
_LOAD_LIMIT_S: Final = 20.0
"""How long a series may go on loading after its first picture before it is scrolled."""
_QUIET_MS: Final = 1500.0
_SILENT_S: Final = 2.0
_POLL_S: Final = 0.25
_WHEEL_STEPS: Final = 60
_WHEEL_PERIOD_S: Final = 1 / 30
_DRAG_STEPS: Final = 120
_DRAG_PERIOD_S: Final = 1 / 60
_TAIL_MS: Final = 300.0
"""Frames shown so long after the last input still count for it."""


@dataclass(frozen=True, slots=True)
class LineSpeed:
    """A line between browser and node."""

    name: str
    mbit_per_s: float
    round_trip_s: float
    bar_s: float
    """The first picture is to be there by then, seconds."""


LINES: Final = (
    LineSpeed("LAN", 0, 0, 0.3),
    LineSpeed("10 Mb/s, 50 ms", 10, 0.05, 1.0),
    LineSpeed("2 Mb/s, 150 ms", 2, 0.15, 3.0),
)


@dataclass(frozen=True, slots=True)
class Visit:
    """What one visit to a study showed; seconds from the address to each picture."""

    first_s: float
    final_s: float
    first_megabytes: float
    first_requests: int
    megabytes: float
    requests: int
    heap_mb: float
    memory_mb: float
    empty_mb: float
    """What the same browser held before, with an empty page."""
    tab_mb: float
    """Of `memory_mb`, the process of the page."""
    scroll_per_s: float | None
    drag_per_s: float
    page_per_s: float
    """Animation frames a second while dragging: what the browser itself reached."""

    @property
    def added_mb(self) -> float:
        """What the study takes above an empty browser."""
        return self.memory_mb - self.empty_mb


@dataclass(slots=True)
class RaceRow:
    """What one viewer did in each round, None where it showed nothing."""

    name: str
    visits: list[Visit | None] = field(default_factory=list)
    failure: str = ""


@dataclass(frozen=True, slots=True)
class RaceResult:
    """One study over one line; `bar_s` is when the first picture is to be there."""

    title: str
    bar_s: float
    rows: list[RaceRow]


@dataclass(frozen=True, slots=True)
class _Study:
    name: str
    files: list[InstanceFile]

    @property
    def study_instance_uid(self) -> str:
        return self.files[0].uids["StudyInstanceUID"]


class RaceBenchmark:
    """Opens the same two studies in Lifeboat's viewer and in OHIF, in turn.

    Parameters
    ----------
    folder : Path
    uids : UidFactory
    rng : numpy.random.Generator
    slices : int
        Of the CT.
    """

    def __init__(
        self, folder: Path, uids: UidFactory, rng: np.random.Generator, slices: int
    ) -> None:
        for program in PROGRAMS:
            require_program(program)
        self._folder = folder / "race"
        self._folder.mkdir()
        self._studies = [
            _Study(f"CT, {slices} slices", make_series(CT, self._folder, slices, uids, rng)),
            _Study("DX 3000x2500", make_series(DX, self._folder, 1, uids, rng)),
        ]

    def measure(
        self, rounds: int, progress: Progress, lines: Sequence[LineSpeed] = LINES
    ) -> list[RaceResult]:
        """Visit every study over every line; `progress` is told visits done and to do.

        Raises
        ------
        BenchmarkError
            A viewer or the browser cannot be started.
        """
        files = [file for study in self._studies for file in study.files]
        fill_lifeboat(self._folder / "lifeboat", files)
        with (
            lifeboat_web(self._folder / "lifeboat") as port,
            ohif_serving(self._folder / "ohif", files) as ohif_port,
            slow_line(port) as ours,
            slow_line(ohif_port) as theirs,
        ):
            roads = {
                LIFEBOAT: (ours, "/studies/{}"),
                OHIF: (theirs, "/viewer?StudyInstanceUIDs={}"),
            }
            return asyncio.run(self._race(roads, rounds, progress, lines))

    async def _race(
        self,
        roads: dict[str, tuple["SlowLine", str]],
        rounds: int,
        progress: Progress,
        lines: Sequence[LineSpeed],
    ) -> list[RaceResult]:
        results = []
        total = len(lines) * len(self._studies) * rounds * len(roads)
        done = 0
        async with async_playwright() as playwright:
            await self._visit_untimed(playwright, roads)
            for speed in lines:
                for study in self._studies:
                    rows = {name: RaceRow(name) for name in roads}
                    for _ in range(rounds):
                        for name, (line, path) in roads.items():
                            address = path.format(study.study_instance_uid)
                            await _take_turn(playwright, rows[name], line, speed, address, study)
                            done += 1
                            progress(done, total)
                    title = f"{study.name}: {speed.name}"
                    results.append(RaceResult(title, speed.bar_s, list(rows.values())))
        return results

    async def _visit_untimed(
        self, playwright: Playwright, roads: dict[str, tuple["SlowLine", str]]
    ) -> None:
        """Visit all once: a node that serves for weeks is not measured while it starts."""
        for line, path in roads.values():
            line.set(LINES[0])
            for study in self._studies:
                async with _fresh_browser(playwright) as browser:
                    page = await _probed_page(browser)
                    await _open(page, line.address(path.format(study.study_instance_uid)))


class SlowLine:
    """The process that stands between browser and server.

    Parameters
    ----------
    process : subprocess.Popen
        `benchmarks.relay`, with text pipes.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.port = int(self._read())

    def address(self, path: str) -> str:
        """Return where a browser finds a path of the server."""
        return f"http://127.0.0.1:{self.port}{path}"

    def set(self, speed: LineSpeed) -> None:
        """Make the line this fast, and forget what passed."""
        self._ask({"mbit_per_s": speed.mbit_per_s, "round_trip_s": speed.round_trip_s})

    def passed(self, until: float) -> Passed:
        """Return what had passed at a time, seconds since the epoch."""
        return Passed(**self._ask({"until": until}))

    def _ask(self, command: dict[str, float]) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._read())
        return answer

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BenchmarkError("the slow line ended")
        return line


@contextlib.contextmanager
def slow_line(port: int) -> Iterator[SlowLine]:
    """Run a line to a port on loopback."""
    command = [sys.executable, "-m", "benchmarks.relay", str(port)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    )
    try:
        yield SlowLine(process)
    finally:
        process.terminate()
        process.communicate()


async def _take_turn(
    playwright: Playwright,
    row: RaceRow,
    line: SlowLine,
    speed: LineSpeed,
    path: str,
    study: _Study,
) -> None:
    line.set(speed)
    async with _fresh_browser(playwright) as browser:
        try:
            row.visits.append(await _visit(browser, line, line.address(path), len(study.files)))
        except BenchmarkError as error:
            row.visits.append(None)
            row.failure = str(error)


@contextlib.asynccontextmanager
async def _fresh_browser(playwright: Playwright) -> AsyncIterator[Browser]:
    browser = await playwright.chromium.launch(
        executable_path=require_program("chromium"), args=list(_FLAGS)
    )
    try:
        yield browser
    finally:
        await browser.close()


async def _probed_page(browser: Browser) -> Page:
    page = await browser.new_page(viewport=_WINDOW)  # type: ignore[arg-type]  # a dict with both
    await page.add_init_script(path=_PROBE)
    await asyncio.sleep(_SETTLED_S)
    return page


async def _open(page: Page, address: str) -> dict[str, Any]:
    """Go to an address and return what the probe saw once there is a picture."""
    await page.goto(address, wait_until="commit")
    seen = await _until(page, lambda seen: _truth(seen["first"] is not None), _FIRST_LIMIT_S)
    if seen["first"] is None:
        raise BenchmarkError(f"no picture within {_FIRST_LIMIT_S:.0f} s")
    return seen


async def _visit(browser: Browser, line: SlowLine, address: str, slices: int) -> Visit:
    page = await _probed_page(browser)
    empty_mb, _ = await _memory_mb(browser)
    seen = await _open(page, address)
    origin_s = await page.evaluate("performance.timeOrigin") / 1000
    at_first = line.passed(origin_s + seen["first"] / 1000)

    async def is_loaded(seen: dict[str, Any]) -> bool:
        is_quiet = await page.evaluate("performance.now()") - seen["changes"][-1] > _QUIET_MS
        return bool(is_quiet) and line.passed(time.time()).silent_s > _SILENT_S

    seen = await _until(page, is_loaded, _LOAD_LIMIT_S)
    loaded = line.passed(time.time())
    heap_mb = await _heap_mb(page)
    memory_mb, tab_mb = await _memory_mb(browser)
    scroll = await _scroll(page, slices) if slices > 1 else None
    drag, frames = await _drag(page)
    return Visit(
        seen["first"] / 1000,
        seen["changes"][-1] / 1000,
        at_first.bytes / 1e6,
        at_first.requests,
        loaded.bytes / 1e6,
        loaded.requests,
        heap_mb,
        memory_mb,
        empty_mb,
        tab_mb,
        scroll,
        drag,
        frames,
    )


async def _truth(value: bool) -> bool:
    return value


async def _until(
    page: Page, condition: Callable[[dict[str, Any]], Awaitable[bool]], limit_s: float
) -> dict[str, Any]:
    """Poll what the probe saw until a condition holds or the time is over."""
    deadline = time.monotonic() + limit_s
    while True:
        await asyncio.sleep(_POLL_S)
        seen: dict[str, Any] = await page.evaluate("window.__seen")
        if await condition(seen) or time.monotonic() > deadline:
            return seen


async def _scroll(page: Page, slices: int) -> float:
    """Turn the wheel at 30 steps a second; return the pictures shown a second."""
    x, y = await _place(page, 0.5, 0.5)
    await page.mouse.move(x, y)
    wheel = {"type": "mouseWheel", "x": x, "y": y, "deltaX": 0, "deltaY": 100}
    steps = min(_WHEEL_STEPS, slices - 1)
    begin, end = await _send(page, [wheel] * steps, _WHEEL_PERIOD_S)
    rate = await _shown_per_s(page, begin, end)
    await asyncio.sleep(_QUIET_MS / 1000)  # what was scrolled to may still be on its way
    return rate


async def _drag(page: Page) -> tuple[float, float]:
    """Move with the left button at 60 steps a second; return pictures and page frames a second."""
    events = []
    for step in range(_DRAG_STEPS):
        x, y = await _place(page, 0.25 + 0.5 * step / _DRAG_STEPS, 0.5 + 0.25 * (step % 30) / 30)
        kind = "mouseMoved" if step else "mousePressed"
        events.append({"type": kind, "x": x, "y": y, "button": "left", "buttons": 1})
    events[0]["clickCount"] = 1
    events.append(events[-1] | {"type": "mouseReleased"})
    before = await page.evaluate("window.__seen.frames")
    begin, end = await _send(page, events, _DRAG_PERIOD_S)
    rate = await _shown_per_s(page, begin, end)
    frames = await page.evaluate("window.__seen.frames") - before
    now = await page.evaluate("performance.now()")
    return rate, frames / ((now - begin) / 1000)


async def _place(page: Page, right: float, down: float) -> tuple[float, float]:
    x, y, width, height = await page.evaluate("window.__box()")
    return x + width * right, y + height * down


async def _send(
    page: Page, events: Sequence[dict[str, Any]], period_s: float
) -> tuple[float, float]:
    """Send raw input at a fixed pace, whether or not the page keeps up.

    Returns
    -------
    tuple of float
        The page's time of the first and the last event, ms.
    """
    session = await page.context.new_cdp_session(page)
    origin_ms = await page.evaluate("performance.timeOrigin")
    begin = time.time()
    sent = []
    for number, event in enumerate(events):
        await asyncio.sleep(max(0.0, begin + number * period_s - time.time()))
        sent.append(asyncio.ensure_future(session.send("Input.dispatchMouseEvent", event)))
    end = time.time()
    await asyncio.wait(sent, timeout=20)
    await asyncio.sleep(0.5)
    return begin * 1000 - origin_ms, end * 1000 - origin_ms


async def _shown_per_s(page: Page, begin_ms: float, end_ms: float) -> float:
    changes = await page.evaluate("window.__seen.changes")
    shown = [at for at in changes if begin_ms <= at <= end_ms + _TAIL_MS]
    last = max([end_ms, *shown])
    return len(shown) / ((last - begin_ms) / 1000)


async def _heap_mb(page: Page) -> float:
    session = await page.context.new_cdp_session(page)
    await session.send("Performance.enable")
    metrics = (await session.send("Performance.getMetrics"))["metrics"]
    return next(float(m["value"]) for m in metrics if m["name"] == "JSHeapUsedSize") / 1e6


async def _memory_mb(browser: Browser) -> tuple[float, float]:
    """Return what all processes of the browser hold, and the largest that draws pages.

    Each shared page is counted by its share.
    """
    session = await browser.new_browser_cdp_session()
    processes = (await session.send("SystemInfo.getProcessInfo"))["processInfo"]
    total_mb, tab_mb = 0.0, 0.0
    for process in processes:
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{process['id']}/smaps_rollup").read_text()
            held_mb = int(text.split("\nPss:")[1].split()[0]) / 1024
            total_mb += held_mb
            if process["type"] == "renderer":
                tab_mb = max(tab_mb, held_mb)
    await session.detach()
    return total_mb, tab_mb
