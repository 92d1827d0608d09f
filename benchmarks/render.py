"""From a stored file to a picture on the screen: the same window, in each way there is."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import local_ways as local
from benchmarks.comparison import Comparison, Task, Way, compare, unavailable
from benchmarks.compressed import make_compressed_series
from benchmarks.data import CT, DX, MG, InstanceFile, Kind, UidFactory, make_series
from benchmarks.figures import middle
from benchmarks.processes import BenchmarkError, first_line, require_program
from benchmarks.render_peers import (
    JPEG,
    PNG,
    LifeboatView,
    OrthancView,
    Picture,
    bare_frame,
    lifeboat_holding,
    orthanc_holding,
)
from benchmarks.serving import MemoryResult, first_pictures, memory, rates
from web.limits import keep_freed_memory

LIFEBOAT: Final = "Lifeboat viewer, in process"
LIFEBOAT_STRIPS: Final = f"{LIFEBOAT}, in strips"
LIFEBOAT_HTTP: Final = "Lifeboat over HTTP"
PYDICOM: Final = "pydicom and Pillow, in process"
DCMJ2PNM: Final = "DCMTK dcmj2pnm"
ORTHANC: Final = "Orthanc over HTTP"
PASSES: Final = "what libraries take of it"
BOUND: Final = "Memory, as fast as it copies"
BARE: Final = "Python, sent from memory"
PEERS: Final = {PYDICOM: "pydicom", DCMJ2PNM: "dcmj2pnm", ORTHANC: "Orthanc", BOUND: "bound"}
"""The ways that ratios are taken against, and what they are called for short."""

FULL_JPEG: Final = Picture(JPEG)
SCREEN_PX: Final = 1280
TURNS: Final = {CT: 15, DX: 6, MG: 4}
"""What is rendered, and how often in one round."""
QUICK_TURNS: Final = {CT: 3}
_PROCESSORS: Final = os.cpu_count() or 1
_STARTS_TIMED: Final = 5
_COARSE_PX: Final = 32
_WINDOWS_IN_A_ROW: Final = 10

_View = TypeVar("_View")


class RenderBenchmark:
    """Renders the same instances in every way, in turn.

    Parameters
    ----------
    folder : Path
        Everything is written below it.
    uids : UidFactory
    rng : numpy.random.Generator
        Makes the noise of the instances.
    turns : mapping
        What is rendered, and how often in one round.
    """

    def __init__(
        self,
        folder: Path,
        uids: UidFactory,
        rng: np.random.Generator,
        turns: Mapping[Kind, int],
    ) -> None:
        self._folder = folder / "rendered"
        self._turns = turns
        self._uids = uids
        self._rng = rng
        self._files = {kind: make_series(kind, self._folder, 1, uids, rng)[0] for kind in turns}
        keep_freed_memory()  # as the web process does; what pydicom does in this one gains by it

    def measure(self, rounds: int, progress: Callable[[int, int], None]) -> list[Comparison]:
        """Measure every comparison.

        Parameters
        ----------
        rounds : int
        progress : callable
            Called with the comparisons done and to do.
        """
        plain = list(self._files.values())
        with ExitStack() as stack:
            lifeboat = _started(stack, lifeboat_holding(self._folder / "lifeboat", plain))
            orthanc = _started(stack, orthanc_holding(self._folder / "orthanc", plain))
            bare = {
                kind: stack.enter_context(
                    bare_frame(file, _frame_bytes(kind), self._folder / f"bare-{kind.name}")
                )
                for kind, file in self._files.items()
            }
            copied = local.more_than_caches()
            tasks = [
                task
                for kind, file in self._files.items()
                for task in _tasks(kind, file, lifeboat, orthanc, bare[kind], copied)
            ]
            results = []
            for done, task in enumerate(tasks, 1):
                results.append(compare(task, rounds * self._turns[task.kind]))
                progress(done, len(tasks))
            if not isinstance(lifeboat, BenchmarkError) and not isinstance(orthanc, BenchmarkError):
                results += rates(self._files, lifeboat, orthanc, rounds)
        return results

    def serve(
        self, slices: int, starts: int, pictures: int
    ) -> tuple[list[Comparison], MemoryResult]:
        """Measure the first picture of a compressed series, and memory over many pictures.

        Parameters
        ----------
        slices : int
            Of the series.
        starts : int
            How often a node is started and the series opened.
        pictures : int
            How many are made while memory is watched.
        """
        folder = self._folder / "series"
        files = make_compressed_series(CT, folder, slices, self._uids, self._rng)
        first = first_pictures(self._folder / "opened", files, self._files[CT], starts)
        return first, memory(self._folder / "lifeboat", [self._files[CT]], CT, pictures)


def _started(stack: ExitStack, node: AbstractContextManager[_View]) -> _View | BenchmarkError:
    try:
        return stack.enter_context(node)
    except BenchmarkError as error:
        return error


def _tasks(
    kind: Kind,
    file: InstanceFile,
    lifeboat: LifeboatView | BenchmarkError,
    orthanc: OrthancView | BenchmarkError,
    bare: Callable[[], bytes],
    copied: NDArray[np.uint8],
) -> Iterator[Task]:
    size = f"{kind.name} {kind.rows}x{kind.columns}"
    in_process = [
        Way(LIFEBOAT, partial(local.lifeboat_jpeg, file.path)),
        Way(PYDICOM, partial(local.pydicom_jpeg, file.path)),
        _dcmj2pnm(file),
    ]
    for how in _pictures(kind):
        ways = [
            *_lifeboat_pictures(kind, file, how, lifeboat),
            _orthanc_picture(file, how, orthanc),
        ]
        others = in_process if how == FULL_JPEG else []
        view = _coarse if how.fitted_px else _decoded
        yield Task(f"{size}: file to window to {how.name}", kind, [*ways, *others], view)
    windows = [
        Way(LIFEBOAT, local.lifeboat_window(file.path)),
        Way(LIFEBOAT_STRIPS, local.lifeboat_window(file.path, _PROCESSORS)),
        Way(PASSES, local.library_passes(file.path), "always for one window"),
        Way(PYDICOM, local.pydicom_window(file.path)),
        Way(BOUND, local.memory_bound(file.path, copied), "as many bytes; gives no picture"),
    ]
    title = f"{size}: the window alone, stored values to 8 bit"
    yield Task(title, kind, windows, np.asarray, _WINDOWS_IN_A_ROW)
    frames = [_lifeboat_frame(file, lifeboat), _orthanc_frame(file, orthanc), _bare_way(bare)]
    yield Task(f"{size}: the frame's pixels as stored", kind, frames, partial(_pixels, kind))


def _pictures(kind: Kind) -> list[Picture]:
    """Return what is made of a kind; a frame that fits a screen anyway is not fitted."""
    full = [FULL_JPEG, Picture(PNG)]
    is_large = max(kind.rows, kind.columns) > SCREEN_PX
    return [*full, Picture(JPEG, SCREEN_PX), Picture(PNG, SCREEN_PX)] if is_large else full


def _lifeboat_pictures(
    kind: Kind, file: InstanceFile, how: Picture, lifeboat: LifeboatView | BenchmarkError
) -> list[Way]:
    if isinstance(lifeboat, BenchmarkError):
        return [unavailable(LIFEBOAT_HTTP, lifeboat)]
    again = partial(lifeboat.rendered, file, how, *kind.window)
    return [
        Way(f"{LIFEBOAT_HTTP}, new window", partial(lifeboat.rendered, file, how)),
        Way(f"{LIFEBOAT_HTTP}, asked again", lambda _center, _width: again(), "kept in memory"),
    ]


def _lifeboat_frame(file: InstanceFile, lifeboat: LifeboatView | BenchmarkError) -> Way:
    if isinstance(lifeboat, BenchmarkError):
        return unavailable(LIFEBOAT_HTTP, lifeboat)
    view = lifeboat
    return Way(LIFEBOAT_HTTP, lambda _center, _width: view.frame(file), "WADO-RS")


def _orthanc_picture(
    file: InstanceFile, how: Picture, orthanc: OrthancView | BenchmarkError
) -> Way:
    if isinstance(orthanc, BenchmarkError):
        return unavailable(ORTHANC, orthanc)
    return Way(ORTHANC, partial(orthanc.rendered, file, how), "/rendered")


def _orthanc_frame(file: InstanceFile, orthanc: OrthancView | BenchmarkError) -> Way:
    if isinstance(orthanc, BenchmarkError):
        return unavailable(ORTHANC, orthanc)
    view = orthanc
    return Way(ORTHANC, lambda _center, _width: view.frame(file), "/frames/0/raw")


def _bare_way(ask: Callable[[], bytes]) -> Way:
    return Way(
        BARE, lambda _center, _width: ask(), "looks nothing up: no server in Python does less"
    )


def _dcmj2pnm(file: InstanceFile) -> Way:
    try:
        program = require_program("dcmj2pnm")
    except BenchmarkError as error:
        return unavailable(DCMJ2PNM, error)
    note = f"{_start_ms(program):.0f} ms of it start the process"
    return Way(DCMJ2PNM, partial(local.dcmj2pnm_jpeg, program, file.path), note)


def _start_ms(program: str) -> float:
    times: list[float | None] = []
    for _ in range(_STARTS_TIMED):
        begin = time.perf_counter()
        first_line([program, "--version"])
        times.append((time.perf_counter() - begin) * 1e3)
    return middle(times)


def _decoded(picture: bytes) -> NDArray[Any]:
    return np.asarray(Image.open(BytesIO(picture)))


def _coarse(picture: bytes) -> NDArray[Any]:
    """Return a few averages: fitted pictures may differ by a row, and in their filter."""
    image = Image.open(BytesIO(picture))
    if max(image.size) > SCREEN_PX:
        raise BenchmarkError("gives a larger picture")
    return np.asarray(image.resize((_COARSE_PX, _COARSE_PX), Image.Resampling.BOX))


def _frame_bytes(kind: Kind) -> int:
    return kind.rows * kind.columns * 2


def _pixels(kind: Kind, body: bytes) -> NDArray[Any]:
    """Find the frame in an answer: the frame alone, or within the boundaries of a multipart."""
    size = _frame_bytes(kind)
    begin = body.find(b"\r\n\r\n") + 4 if len(body) > size else 0
    return np.frombuffer(body[begin : begin + size], "<u2")
