"""From received bytes to what the index keeps of them: the elements, and whether all arrived."""

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from pydicom import dcmread

from benchmarks.comparison import Timing
from benchmarks.data import CT, DX, MR, Kind, UidFactory, make_series
from benchmarks.processes import BenchmarkError, require_program
from dicom_node.header import NUMBER_ELEMENTS, TEXT_ELEMENTS, read_header
from dicom_node.part10 import read_head

LIFEBOAT: Final = "Lifeboat read_header"
PYDICOM: Final = "pydicom dcmread, before pixels"
DCMDUMP: Final = "DCMTK dcmdump +P PatientID"
PEERS: Final = {PYDICOM: "pydicom", DCMDUMP: "dcmdump"}
"""The ways that ratios are taken against, and what they are called for short."""

FILES: Final = {CT: 10, MR: 10, DX: 10}
"""How many different instances of each kind are read."""
QUICK_FILES: Final = {CT: 2}
_REPEATS: Final = 30
"""How often each way reads each file in one turn."""
_TURNS_PER_ROUND: Final = 5
_KEYS: Final = (*TEXT_ELEMENTS, *NUMBER_ELEMENTS)

_Way = Callable[[], int]
"""Reads headers, and returns how many."""


@dataclass(frozen=True, slots=True)
class HeaderResult:
    """What each way took for the headers of one kind of instance, ms each."""

    title: str
    timings: list[Timing]


class HeaderBenchmark:
    """Reads the same headers in every way, in turn.

    Parameters
    ----------
    folder : Path
        Everything is written below it.
    uids : UidFactory
    rng : numpy.random.Generator
        Makes the noise of the instances.
    files : mapping
        What is read: how many instances of each kind.
    """

    def __init__(
        self,
        folder: Path,
        uids: UidFactory,
        rng: np.random.Generator,
        files: Mapping[Kind, int],
    ) -> None:
        self._files = {
            kind: [file.path for file in make_series(kind, folder / "headers", count, uids, rng)]
            for kind, count in files.items()
        }

    def measure(self, rounds: int, progress: Callable[[int, int], None]) -> list[HeaderResult]:
        """Measure every kind.

        Parameters
        ----------
        rounds : int
        progress : callable
            Called with the kinds done and to do.
        """
        results = []
        for done, (kind, files) in enumerate(self._files.items(), 1):
            results.append(_measure(kind, files, rounds * _TURNS_PER_ROUND))
            progress(done, len(self._files))
        return results


def _measure(kind: Kind, files: Sequence[Path], turns: int) -> HeaderResult:
    contents = [path.read_bytes() for path in files]
    ways = {LIFEBOAT: _lifeboat(contents), PYDICOM: _pydicom(contents)}
    notes = {
        LIFEBOAT: f"{len(_KEYS)} elements decoded, whole data set checked",
        PYDICOM: f"{len(_KEYS)} elements decoded, what follows them not checked",
        DCMDUMP: f"one element printed; one process reads {len(files) * _REPEATS} files",
    }
    timings = {name: Timing(name, note) for name, note in notes.items()}
    try:
        ways[DCMDUMP] = _dcmdump(require_program("dcmdump"), files)
    except BenchmarkError as error:
        timings[DCMDUMP].failure = str(error)
    for turn in range(turns):
        names = list(ways)[turn % len(ways) :] + list(ways)[: turn % len(ways)]
        for name in names:
            timings[name].times_ms.append(_time_ms(ways[name]))
    return HeaderResult(f"{kind.name} {kind.rows}x{kind.columns}", list(timings.values()))


def _time_ms(way: _Way) -> float:
    begin = time.perf_counter()
    count = way()
    return (time.perf_counter() - begin) * 1e3 / count


def _lifeboat(contents: Sequence[bytes]) -> _Way:
    data = []
    for content in contents:
        head = read_head(content)
        data.append((memoryview(content)[head.dataset_offset :], head.transfer_syntax_uid))

    def read() -> int:
        for _ in range(_REPEATS):
            for dataset, transfer_syntax_uid in data:
                read_header(dataset, transfer_syntax_uid)
        return _REPEATS * len(data)

    return read


def _pydicom(contents: Sequence[bytes]) -> _Way:
    def read() -> int:
        for content in contents:
            ds = dcmread(BytesIO(content), stop_before_pixels=True)
            for key in _KEYS:
                str(ds.get(key, ""))
        return len(contents)

    return read


def _dcmdump(program: str, files: Sequence[Path]) -> _Way:
    command = [program, "-q", "+P", "PatientID", *map(str, files * _REPEATS)]

    def read() -> int:
        subprocess.run(command, stdout=subprocess.DEVNULL, timeout=60, check=True)
        return len(files) * _REPEATS

    return read
