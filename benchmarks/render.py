"""From a stored file to a picture on the screen: the same window, in each way there is."""

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
from benchmarks.data import CT, DX, InstanceFile, Kind, UidFactory, make_series
from benchmarks.figures import middle
from benchmarks.processes import BenchmarkError, first_line, require_program
from benchmarks.render_peers import LifeboatView, OrthancView, lifeboat_holding, orthanc_holding

LIFEBOAT: Final = "Lifeboat viewer, in process"
LIFEBOAT_HTTP: Final = "Lifeboat over HTTP"
PYDICOM: Final = "pydicom and Pillow, in process"
DCMJ2PNM: Final = "DCMTK dcmj2pnm"
ORTHANC: Final = "Orthanc over HTTP"
PEERS: Final = {PYDICOM: "pydicom", DCMJ2PNM: "dcmj2pnm", ORTHANC: "Orthanc"}
"""The ways that ratios are taken against, and what they are called for short."""

TURNS: Final = {CT: 12, DX: 4}
"""What is rendered, and how often in one round."""
QUICK_TURNS: Final = {CT: 3}
_STARTS_TIMED: Final = 5

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
        self._files = {kind: make_series(kind, self._folder, 1, uids, rng)[0] for kind in turns}

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
            tasks = [
                task
                for kind, file in self._files.items()
                for task in _tasks(kind, file, lifeboat, orthanc)
            ]
            results = []
            for done, task in enumerate(tasks, 1):
                results.append(compare(task, rounds * self._turns[task.kind]))
                progress(done, len(tasks))
        return results


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
) -> Iterator[Task]:
    size = f"{kind.name} {kind.rows}x{kind.columns}"
    pictures = [
        Way(LIFEBOAT, partial(local.lifeboat_jpeg, file.path)),
        *_lifeboat_pictures(kind, file, lifeboat),
        Way(PYDICOM, partial(local.pydicom_jpeg, file.path)),
        _dcmj2pnm(file),
        _orthanc_picture(file, orthanc),
    ]
    yield Task(f"{size}: file to window to JPEG quality 90", kind, pictures, _decoded)
    windows = [
        Way(LIFEBOAT, local.lifeboat_window(file.path)),
        Way(PYDICOM, local.pydicom_window(file.path)),
    ]
    yield Task(f"{size}: the window alone, stored values to 8 bit", kind, windows, np.asarray)
    frames = [_lifeboat_frame(file, lifeboat), _orthanc_frame(file, orthanc)]
    yield Task(f"{size}: the frame's pixels as stored", kind, frames, partial(_pixels, kind))


def _lifeboat_pictures(
    kind: Kind, file: InstanceFile, lifeboat: LifeboatView | BenchmarkError
) -> list[Way]:
    if isinstance(lifeboat, BenchmarkError):
        return [unavailable(LIFEBOAT_HTTP, lifeboat)]
    again = partial(lifeboat.rendered, file, *kind.window)
    return [
        Way(f"{LIFEBOAT_HTTP}, new window", partial(lifeboat.rendered, file)),
        Way(f"{LIFEBOAT_HTTP}, asked again", lambda _center, _width: again(), "kept in memory"),
    ]


def _lifeboat_frame(file: InstanceFile, lifeboat: LifeboatView | BenchmarkError) -> Way:
    if isinstance(lifeboat, BenchmarkError):
        return unavailable(LIFEBOAT_HTTP, lifeboat)
    view = lifeboat
    return Way(LIFEBOAT_HTTP, lambda _center, _width: view.frame(file), "WADO-RS")


def _orthanc_picture(file: InstanceFile, orthanc: OrthancView | BenchmarkError) -> Way:
    if isinstance(orthanc, BenchmarkError):
        return unavailable(ORTHANC, orthanc)
    return Way(ORTHANC, partial(orthanc.rendered, file), "/rendered")


def _orthanc_frame(file: InstanceFile, orthanc: OrthancView | BenchmarkError) -> Way:
    if isinstance(orthanc, BenchmarkError):
        return unavailable(ORTHANC, orthanc)
    view = orthanc
    return Way(ORTHANC, lambda _center, _width: view.frame(file), "/frames/0/raw")


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


def _decoded(jpeg: bytes) -> NDArray[Any]:
    return np.asarray(Image.open(BytesIO(jpeg)))


def _pixels(kind: Kind, body: bytes) -> NDArray[Any]:
    """Find the frame in an answer: the frame alone, or within the boundaries of a multipart."""
    size = kind.rows * kind.columns * 2
    begin = body.find(b"\r\n\r\n") + 4 if len(body) > size else 0
    return np.frombuffer(body[begin : begin + size], "<u2")
