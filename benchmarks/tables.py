"""The results as tables for a terminal."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.comparison import Comparison, Timing
from benchmarks.drain import DCMSEND, DrainResult
from benchmarks.figures import middle, middle_ratio, percentile, present
from benchmarks.header import PEERS as HEADER_PEERS
from benchmarks.header import HeaderResult
from benchmarks.ingest import CaseResult, Row
from benchmarks.race import OHIF, RaceResult, RaceRow
from benchmarks.receivers import ORTHANC, STORESCP
from benchmarks.render import PEERS
from benchmarks.serving import MemoryResult

_INGEST_COLUMNS: Final = ("inst/s", "MB/s", "x Orthanc", "x storescp", "lowest..highest")
_RACE_FIGURES: Final = (
    "first_s",
    "final_s",
    "first_megabytes",
    "first_requests",
    "megabytes",
    "requests",
    "heap_mb",
    "memory_mb",
    "empty_mb",
    "tab_mb",
    "scroll_per_s",
    "drag_per_s",
)
_RACE_COLUMNS: Final = (
    "first s",
    "final s",
    "MB 1st",
    "req 1st",
    "MB",
    "req",
    "heap",
    "memory",
    "empty",
    "tab",
    "scroll/s",
    "drag/s",
)
_NAME_WIDTH: Final = 32
_FIGURE_WIDTH: Final = 6


def print_machine(console: Console, machine: Mapping[str, str]) -> None:
    """Print what was measured on."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in machine.items():
        table.add_row(name, escape(value))
    _print(console, table)


def print_ingest(console: Console, results: Sequence[CaseResult]) -> None:
    """Print what each receiver took in."""
    console.rule("Ingest: C-STORE by DCMTK dcmsend", align="left")
    for result in results:
        table = _table(result.title, "receiver", _INGEST_COLUMNS, "safe when acknowledged?")
        rates = {row.name: row.rates for row in result.rows}
        for row in result.rows:
            table.add_row(*_ingest_cells(row, result.instance_bytes, rates))
        _print(console, table)
        console.print(f"  The sender needs {result.sender_start_s:.2f} s to start; it counts.")


def print_render(console: Console, results: Sequence[Comparison]) -> None:
    """Print what each way to a picture took."""
    console.rule("Render: milliseconds each", align="left")
    for result in results:
        peers = [timing for timing in result.timings if timing.name in PEERS]
        columns = ("median", "95 %", *(f"x {PEERS[peer.name]}" for peer in peers), "differs by")
        table = _table(result.title, "way", columns, "note")
        for timing in result.timings:
            table.add_row(*_render_cells(timing, peers))
        _print(console, table)


def print_memory(console: Console, result: MemoryResult) -> None:
    """Print how much memory there was after how many pictures."""
    table = _table(result.title, "pictures", ("MB",), "")
    for pictures, resident_mb in zip(result.pictures, result.resident_mb, strict=True):
        table.add_row(f"{pictures:,}", f"{resident_mb:.0f}", "")
    _print(console, table)


def print_race(console: Console, results: Sequence[RaceResult]) -> None:
    """Print how soon each viewer showed a picture, and how it moved."""
    console.rule("Race of viewers: a fresh browser without GPU", align="left")
    for result in results:
        table = _table(f"{result.title} (bar {result.bar_s:g} s)", "viewer", _RACE_COLUMNS, "")
        (peer,) = (row for row in result.rows if row.name == OHIF)
        for row in result.rows:
            figures = [_race_figure(middle(_race_samples(row, name))) for name in _RACE_FIGURES]
            table.add_row(row.name, *figures, escape(row.failure) or _race_ratios(row, peer))
        _print(console, table)


def _race_figure(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _race_samples(row: RaceRow, name: str) -> list[float | None]:
    return [None if visit is None else getattr(visit, name) for visit in row.visits]


def _race_ratios(row: RaceRow, peer: RaceRow) -> str:
    """Say how many times better than the peer: sooner, quicker, smaller."""
    if row is peer:
        return ""
    words = []
    smaller = (
        ("first_s", "first"),
        ("final_s", "final"),
        ("memory_mb", "memory"),
        ("added_mb", "above empty"),
    )
    for name, word in smaller:
        ratio = middle_ratio(_race_samples(peer, name), _race_samples(row, name))
        words.append(f"{word} {ratio:.1f}x")
    for name, word in (("scroll_per_s", "scroll"), ("drag_per_s", "drag")):
        ratio = middle_ratio(_race_samples(row, name), _race_samples(peer, name))
        words.append("" if math.isnan(ratio) else f"{word} {ratio:.1f}x")
    return "x OHIF: " + ", ".join(filter(None, words))


def print_drain(console: Console, results: Sequence[DrainResult]) -> None:
    """Print how fast each way brings what is stored to a PACS."""
    console.rule("Drain: stored instances to a PACS by C-STORE", align="left")
    columns = ("inst/s", "x dcmsend", "lowest..highest", "CPU ms each")
    for result in results:
        table = _table(result.title, "way", columns, "note")
        (peer,) = (row.rates for row in result.rows if row.name == DCMSEND)
        for row in result.rows:
            known = present(row.rates)
            spread = f"{_figure(min(known))}..{_figure(max(known))}" if known else "-"
            rate = _figure(middle(row.rates)) if known else "-"
            note = escape(row.failure) or row.note
            spent = f"{middle(row.processor_ms):.2f}" if present(row.processor_ms) else "-"
            table.add_row(row.name, rate, _ratio(row.rates, peer), spread, spent, note)
        _print(console, table)
        console.print(f"  The whole delivery is to reach {result.bar:.1f} times dcmsend.")


def print_header(console: Console, results: Sequence[HeaderResult]) -> None:
    """Print what each way to a header took."""
    console.rule("Header: microseconds each, of bytes in memory (dcmdump: files)", align="left")
    for result in results:
        peers = [timing for timing in result.timings if timing.name in HEADER_PEERS]
        columns = ("median", "best", *(f"x {HEADER_PEERS[peer.name]}" for peer in peers))
        table = _table(result.title, "way", columns, "note")
        for timing in result.timings:
            table.add_row(*_header_cells(timing, peers))
        _print(console, table)


def _print(console: Console, table: Table) -> None:
    """Print a table without the blanks that fill its lines."""
    with console.capture() as captured:
        console.print(table)
    lines = captured.get().rstrip().splitlines()
    console.file.write("\n".join(line.rstrip() for line in lines) + "\n")


def _table(title: str, first: str, figures: Sequence[str], last: str) -> Table:
    table = Table(title=f"\n{title}", box=SIMPLE_HEAD, title_justify="left", title_style="bold")
    table.add_column(first, min_width=_NAME_WIDTH)
    for name in figures:
        table.add_column(name, justify="right", no_wrap=True, min_width=_FIGURE_WIDTH)
    table.add_column(last)
    return table


def _ingest_cells(
    row: Row, instance_bytes: int, rates: Mapping[str, Sequence[float | None]]
) -> list[str]:
    known = present(row.rates)
    if not known:
        return [row.name, *("-" for _ in _INGEST_COLUMNS), escape(row.failure)]
    rate = middle(row.rates)
    return [
        row.name,
        _figure(rate),
        _figure(rate * instance_bytes / 1e6),
        *(_ratio(row.rates, rates[peer.name]) for peer in (ORTHANC, STORESCP)),
        f"{_figure(min(known))}..{_figure(max(known))}",
        row.durable + (f" [red]A ROUND FAILED: {escape(row.failure)}[/]" if row.failure else ""),
    ]


def _render_cells(timing: Timing, peers: Sequence[Timing]) -> list[str]:
    if not timing.times_ms:
        return [timing.name, "-", "-", *("-" for _ in peers), "-", escape(timing.failure)]
    return [
        timing.name,
        f"{middle(timing.times_ms):.2f}",
        f"{percentile(timing.times_ms, 95):.2f}",
        *(_ratio(peer.times_ms, timing.times_ms) for peer in peers),
        f"{timing.difference:.2f}",
        timing.note,
    ]


def _header_cells(timing: Timing, peers: Sequence[Timing]) -> list[str]:
    known = present(timing.times_ms)
    if not known:
        return [timing.name, "-", "-", *("-" for _ in peers), escape(timing.failure)]
    return [
        timing.name,
        _figure(middle(timing.times_ms) * 1e3),
        _figure(min(known) * 1e3),
        *(_ratio(peer.times_ms, timing.times_ms) for peer in peers),
        timing.note,
    ]


def _ratio(numerators: Sequence[float | None], denominators: Sequence[float | None]) -> str:
    ratio = middle_ratio(numerators, denominators)
    return "-" if math.isnan(ratio) else f"{ratio:.2f}" if ratio < 10 else f"{ratio:.1f}"


def _figure(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"
