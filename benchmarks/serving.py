"""What a web process does under load: answers a second, the first picture, its memory."""

import contextlib
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.comparison import Comparison, Timing
from benchmarks.data import InstanceFile, Kind
from benchmarks.http_client import KeepAliveClient
from benchmarks.load import CONNECTIONS, Plan, answers_per_second
from benchmarks.peers import lifeboat_web
from benchmarks.processes import BenchmarkError, wait_until
from benchmarks.render_peers import (
    JPEG,
    PNG,
    LifeboatView,
    OrthancView,
    Picture,
    fill_lifeboat,
)

LIFEBOAT: Final = "Lifeboat over HTTP"
ORTHANC: Final = "Orthanc over HTTP"
_PIXELS_PER_ROUND: Final = 160_000_000
_SMALL_PIXELS: Final = 2**20
_MEGABYTE: Final = 1e6
_PICTURES_AT_ONCE: Final = 500
_SETTLE_S: Final = 4.0
"""How long a node has run before a study is opened: its decoders start meanwhile."""


def rates(
    files: Mapping[Kind, InstanceFile], lifeboat: LifeboatView, orthanc: OrthancView, rounds: int
) -> list[Comparison]:
    """Ask both servers for pictures through 16 connections, in turn.

    The time of one answer is that of all, divided by their number.
    """
    results = []
    for kind, file in files.items():
        for how in (Picture(JPEG), Picture(PNG)):
            title = f"{kind.name} {kind.rows}x{kind.columns}: {how.name}, {CONNECTIONS} at once"
            views = {LIFEBOAT: lifeboat, ORTHANC: orthanc}
            timings = {name: Timing(name) for name in views}
            for view in views.values():
                _warm(view, kind, file, how)
            for turn in range(_turns(kind, rounds)):
                for name, view in views.items():
                    _ask(timings[name], view, kind, file, how, turn)
            results.append(Comparison(title, list(timings.values())))
    return results


def _turns(kind: Kind, rounds: int) -> int:
    """Return how often both are asked: a turn of large pictures takes Orthanc ten seconds."""
    return rounds + 2 if kind.rows * kind.columns < _SMALL_PIXELS else 1 + rounds // 3


def _warm(view: LifeboatView | OrthancView, kind: Kind, file: InstanceFile, how: Picture) -> None:
    """Ask for some pictures untimed, so that no side opens files and connections on the clock."""
    address, center = view.address(file, how), kind.window[0] - 1
    with contextlib.suppress(BenchmarkError):  # what fails now fails again, and is told then
        plan = Plan(view.port, address, how.media_type, center, kind.window[1], 2 * CONNECTIONS)
        answers_per_second(plan)


def _ask(
    timing: Timing,
    view: LifeboatView | OrthancView,
    kind: Kind,
    file: InstanceFile,
    how: Picture,
    turn: int,
) -> None:
    count = min(600, max(CONNECTIONS, _PIXELS_PER_ROUND // (kind.rows * kind.columns)))
    center = kind.window[0] + 1 + turn  # no window that was asked for before
    address = view.address(file, how)
    before_s = _processor_s(view.folder)
    try:
        rate = answers_per_second(
            Plan(view.port, address, how.media_type, center, kind.window[1], count)
        )
    except BenchmarkError as error:
        timing.failure = str(error)
        return
    timing.times_ms.append(1e3 / rate)
    each_ms = 1e3 * (_processor_s(view.folder) - before_s) / count
    timing.note = (
        f"{rate:.0f} answers a second in the last turn, {each_ms:.1f} ms of processor each"
    )


def first_pictures(
    folder: Path, files: list[InstanceFile], other: InstanceFile, starts: int
) -> list[Comparison]:
    """Measure from opening a study to the first picture of a series.

    Nobody opened the study since the node started, which was some seconds ago. Once it is the
    newest of the node; once another came after it. At last it is opened as soon as the node
    answers: with no frame on disk, and with those that it has left there.

    Parameters
    ----------
    folder : Path
        A new folder for the nodes' data.
    files : list of InstanceFile
        The series.
    other : InstanceFile
        Of another study.
    starts : int
        How often each node is started.
    """
    folder.mkdir()
    fill_lifeboat(folder / "newest", files)
    fill_lifeboat(folder / "older", [*files, other])
    newest, older = folder / "newest", folder / "older"
    return [
        _first_pictures(_Opening("the newest study", newest), files, starts),
        _first_pictures(_Opening("an older study", older), files, starts),
        _first_pictures(_Opening("an older study, at once", older, settle_s=0), files, starts),
        _first_pictures(
            _Opening("the same with the frames of before", older, settle_s=0, keeps_frames=True),
            files,
            starts,
        ),
    ]


@dataclass(frozen=True, slots=True)
class _Opening:
    """Which study is opened of the node in `folder`, and how long after it has started."""

    title: str
    folder: Path
    settle_s: float = _SETTLE_S
    keeps_frames: bool = False


def _first_pictures(how: _Opening, files: list[InstanceFile], starts: int) -> Comparison:
    title, folder = f"First of {len(files)} slices, JPEG 2000 lossless: {how.title}", how.folder
    listed = Timing("Lifeboat: the study's list")
    shown = Timing("Lifeboat: list and first picture")
    study = files[0].uids["StudyInstanceUID"]
    for _ in range(starts):
        if not how.keeps_frames:
            shutil.rmtree(folder / "data" / "cache", ignore_errors=True)
        with lifeboat_web(folder) as port, contextlib.closing(KeepAliveClient(port)) as client:
            wait_until(lambda: _is_ready(client), "the node is ready")
            time.sleep(how.settle_s)
            begin = time.perf_counter()
            client.get_json(f"/api/v1/studies/{study}")
            listed.times_ms.append((time.perf_counter() - begin) * 1e3)
            # the viewer opens a CT in the middle
            client.get(f"/dicom-web{_instance(files[len(files) // 2])}/rendered", JPEG)
            shown.times_ms.append((time.perf_counter() - begin) * 1e3)
    return Comparison(title, [listed, shown])


def _is_ready(client: KeepAliveClient) -> bool:
    with contextlib.suppress(BenchmarkError):
        client.get("/readyz")
        return True
    return False


def _instance(file: InstanceFile) -> str:
    study, series, instance = file.uids.values()
    return f"/studies/{study}/series/{series}/instances/{instance}"


@dataclass(frozen=True, slots=True)
class MemoryResult:
    """Memory of the web processes, MB, after so many pictures."""

    title: str
    pictures: list[int]
    resident_mb: list[float]


def memory(folder: Path, files: list[InstanceFile], kind: Kind, pictures: int) -> MemoryResult:
    """Measure the web processes after so many pictures and twice as many, each of another window.

    Their caches of answers are filled first, with answers so large that few are enough.
    """
    marks = [pictures, 2 * pictures]
    title = f"Memory of the web processes after so many pictures of {kind.name}"
    result = MemoryResult(title, [], [])
    with lifeboat_web(folder) as port:
        view = LifeboatView(KeepAliveClient(port), port, folder)
        _fill_caches(view, files[0], kind, pictures * 3 // 10)
        done = 0
        for mark in marks:
            for number in range(done, mark, _PICTURES_AT_ONCE):
                file = files[number // _PICTURES_AT_ONCE % len(files)]
                _draw(view, file, kind, Picture(PNG), number, min(_PICTURES_AT_ONCE, mark - number))
            done = mark
            result.pictures.append(done)
            result.resident_mb.append(_resident_bytes(folder) / _MEGABYTE)
        view.client.close()
    return result


def _fill_caches(view: LifeboatView, file: InstanceFile, kind: Kind, pictures: int) -> None:
    """Ask for PNGs of a window so narrow that noise fills them: they are large."""
    address = view.address(file, Picture(PNG))
    answers_per_second(Plan(view.port, address, PNG, kind.body, 2 * kind.noise, pictures))


def _draw(
    view: LifeboatView, file: InstanceFile, kind: Kind, how: Picture, first: int, count: int
) -> None:
    center = kind.window[0] + 100 + first / 1000
    address = view.address(file, how)
    answers_per_second(Plan(view.port, address, how.media_type, center, kind.window[1], count))


def _resident_bytes(folder: Path) -> int:
    """Return what the processes that work on a folder hold in memory, together."""
    total = 0
    for process in _processes(folder):
        with contextlib.suppress(OSError):
            pages = int((process / "statm").read_text().split()[1])
            total += pages * os.sysconf("SC_PAGE_SIZE")
    return total


def _processor_s(folder: Path) -> float:
    """Return the processor time that the processes have taken that work on a folder, seconds."""
    total_ns = 0
    for process in _processes(folder):
        for thread in process.glob("task/*/schedstat"):
            with contextlib.suppress(OSError):
                total_ns += int(thread.read_text().split()[0])
    return total_ns / 1e9


def _processes(folder: Path) -> Iterator[Path]:
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(folder).encode() in (process / "cmdline").read_bytes():
                yield process
