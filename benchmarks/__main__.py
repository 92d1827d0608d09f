"""`python -m benchmarks`: measure Lifeboat beside its peers, in one run on the same data."""

import json
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
from rich.console import Console

from benchmarks.comparison import Comparison
from benchmarks.data import UidFactory
from benchmarks.drain import COUNT, DCMSEND, MOST_ROUNDS, QUICK_COUNT, DrainBenchmark, DrainResult
from benchmarks.header import FILES, QUICK_FILES, HeaderBenchmark, HeaderResult
from benchmarks.header import LIFEBOAT as LIFEBOAT_HEADER
from benchmarks.ingest import CASES, QUICK_CASES, CaseResult, IngestBenchmark
from benchmarks.machine import describe_machine, file_system
from benchmarks.processes import BenchmarkError
from benchmarks.race import MOST_ROUNDS as MOST_RACES
from benchmarks.race import OHIF, QUICK_SLICES, SLICES, RaceBenchmark, RaceResult
from benchmarks.receivers import LIFEBOAT
from benchmarks.render import QUICK_TURNS, TURNS, RenderBenchmark
from benchmarks.serving import MemoryResult
from benchmarks.tables import (
    print_drain,
    print_header,
    print_ingest,
    print_machine,
    print_memory,
    print_race,
    print_render,
)
from dicom_node.report import progress_of

ROUNDS: Final = 7
_BYTES_PER_ROUND: Final = 1_500_000_000
_QUICK_BYTES_PER_ROUND: Final = 300_000_000
_DRAINED_BYTES_PER_ROUND: Final = 5_500_000_000
"""What receivers keep of one round of ingest, with some to spare."""
_WIDTH: Final = 140
"""What the tables need, characters; a narrower terminal breaks their lines."""
_SEED: Final = 7
SERVED: Final = (500, 5, 10_000)
QUICK_SERVED: Final = (3, 1, 40)
"""Slices of the compressed series, how often it is opened, pictures while memory is watched."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--only",
    type=click.Choice(["ingest", "drain", "render", "race", "header"]),
    help="One part alone.",
)
@click.option("--quick", is_flag=True, help="One round of little: whether it works, not how fast.")
@click.option("--rounds", type=click.IntRange(1, 100), help=f"Turns of each; {ROUNDS} by default.")
@click.option("--json", "report", type=click.Path(path_type=Path), help="Write the figures here.")
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(tempfile.gettempdir()),
    show_default=True,
    help="On the disk to be measured.",
)
def main(
    only: str | None, quick: bool, rounds: int | None, report: Path | None, folder: Path
) -> None:
    """Measure Lifeboat beside DCMTK, Orthanc, OHIF and pydicom, in one run on the same data.

    Example: python -m benchmarks --only ingest --rounds 3 --json figures.json
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit("stopped"))
    console = Console(width=max(_WIDTH, Console().width))
    rounds = rounds or (1 if quick else ROUNDS)
    little = quick or only in ("render", "race", "header")
    needed_bytes = (rounds + 1) * (_QUICK_BYTES_PER_ROUND if little else _BYTES_PER_ROUND)
    if not little:
        needed_bytes = max(needed_bytes, min(rounds, MOST_ROUNDS) * _DRAINED_BYTES_PER_ROUND)
    try:
        with _working_folder(folder, needed_bytes) as work:
            run = Run(work, quick, rounds, console)
            figures = run.measure(only)
    except BenchmarkError as error:
        sys.exit(f"benchmarks: {error}")
    if report is not None:
        report.write_text(json.dumps(figures, indent=1) + "\n")
    sys.exit(1 if run.has_failed else 0)


class Run:
    """One run of the benchmarks.

    Parameters
    ----------
    folder : Path
        Removed by the caller afterwards.
    quick : bool
        Little of everything.
    rounds : int
    console : rich.console.Console
        Where the tables go.
    """

    def __init__(self, folder: Path, quick: bool, rounds: int, console: Console) -> None:
        self._folder = folder
        self._quick = quick
        self._rounds = rounds
        self._console = console
        self._uids = UidFactory(secrets.randbelow(10**10))
        self._rng = np.random.default_rng(_SEED)
        self.has_failed = False

    def measure(self, only: str | None) -> dict[str, Any]:
        """Measure one part or all, print the tables, and return all figures."""
        machine = describe_machine(self._folder)
        print_machine(self._console, machine)
        if file_system(self._folder) in ("tmpfs", "ramfs"):
            self._console.print("This folder lies in memory: nothing here says anything of a disk.")
        figures: dict[str, Any] = {"machine": machine, "rounds": self._rounds}
        parts = {
            "ingest": self._ingest,
            "drain": self._drain,
            "render": self._render,
            "race": self._race,
            "header": self._header,
        }
        for name, part in parts.items():
            if only in (None, name):
                figures[name] = self._part(name, part)
        return figures

    def _part(self, name: str, part: Callable[[], Sequence[Any]]) -> list[dict[str, Any]]:
        try:
            return [asdict(result) for result in part()]
        except BenchmarkError as error:
            click.echo(f"benchmarks: no {name}: {error}", err=True)
            self.has_failed = True
            return []

    def _ingest(self) -> list[CaseResult]:
        benchmark = IngestBenchmark(self._folder, self._uids, self._rng)
        with progress_of("Ingest rounds") as progress:
            cases = QUICK_CASES if self._quick else CASES
            results = benchmark.measure(cases, self._rounds, progress)
        print_ingest(self._console, results)
        rows = [row for result in results for row in result.rows]
        self.has_failed |= any(row.failure for row in rows if row.name == LIFEBOAT.name)
        return results

    def _drain(self) -> list[DrainResult]:
        count = QUICK_COUNT if self._quick else COUNT
        benchmark = DrainBenchmark(self._folder, self._uids, self._rng, count)
        with progress_of("Drain rounds") as progress:
            results = benchmark.measure(min(self._rounds, MOST_ROUNDS), progress)
        print_drain(self._console, results)
        rows = [row for result in results for row in result.rows]
        self.has_failed |= any(row.failure for row in rows if row.name != DCMSEND)
        return results

    def _render(self) -> list[Comparison | MemoryResult]:
        turns = QUICK_TURNS if self._quick else TURNS
        benchmark = RenderBenchmark(self._folder, self._uids, self._rng, turns)
        with progress_of("Render comparisons") as progress:
            results = benchmark.measure(self._rounds, progress)
        print_render(self._console, results)
        first, memory = benchmark.serve(*(QUICK_SERVED if self._quick else SERVED))
        results += first
        print_render(self._console, first)
        print_memory(self._console, memory)
        timings = [timing for result in results for timing in result.timings]
        self.has_failed |= any(t.failure for t in timings if t.name.startswith(LIFEBOAT.name))
        return [*results, memory]

    def _race(self) -> list[RaceResult]:
        slices = QUICK_SLICES if self._quick else SLICES
        benchmark = RaceBenchmark(self._folder, self._uids, self._rng, slices)
        with progress_of("Races of viewers") as progress:
            results = benchmark.measure(min(self._rounds, MOST_RACES), progress)
        print_race(self._console, results)
        rows = [row for result in results for row in result.rows]
        self.has_failed |= any(row.failure for row in rows if row.name != OHIF)
        return results

    def _header(self) -> list[HeaderResult]:
        files = QUICK_FILES if self._quick else FILES
        benchmark = HeaderBenchmark(self._folder, self._uids, self._rng, files)
        with progress_of("Headers") as progress:
            results = benchmark.measure(self._rounds, progress)
        print_header(self._console, results)
        timings = [timing for result in results for timing in result.timings]
        self.has_failed |= any(t.failure for t in timings if t.name == LIFEBOAT_HEADER)
        return results


@contextmanager
def _working_folder(parent: Path, needed_bytes: int) -> Iterator[Path]:
    """Make a folder for everything that is written, and remove it afterwards."""
    free_bytes = shutil.disk_usage(parent).free
    if free_bytes < needed_bytes:
        raise BenchmarkError(
            f"{parent} has {free_bytes / 1e9:.1f} GB free, {needed_bytes / 1e9:.1f} GB are needed;"
            " name another folder with --folder"
        )
    with tempfile.TemporaryDirectory(prefix="lifeboat-benchmarks-", dir=parent) as name:
        yield Path(name)


if __name__ == "__main__":
    main()
