"""Terminal output: progress of long work, and the state of delivery as tables."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.progress_bar import ProgressBar
from rich.table import Table

from dicom_node.ledger import FILE as LEDGER_FILE
from dicom_node.ledger import DestinationState, LedgerReader, RecordedMode, State, StudyDelivery
from dicom_node.mode_state import read_mode
from dicom_node.policy import OF_PACS
from dicom_node.settings import Settings
from dicom_node.sync_order import SyncOrder
from dicom_node.unknown_switch import Opening

_LINE_EVERY_S = 2.0
_MOST_REFUSALS = 20


@contextmanager
def progress_of(title: str) -> Iterator[Callable[[int, int], None]]:
    """Show the progress of long work: a bar on a terminal, lines elsewhere.

    Parameters
    ----------
    title : str
        What is being done.

    Yields
    ------
    callable
        To be called with how much is done and how much there is.
    """
    if sys.stderr.isatty():
        with _bar(title) as update:
            yield update
    else:
        yield _Lines(title)


@contextmanager
def _bar(title: str) -> Iterator[Callable[[int, int], None]]:
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


class _Lines:
    """Prints a line now and then, and a last one."""

    def __init__(self, title: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._title = title
        self._monotonic = monotonic
        self._next = 0.0

    def __call__(self, done: int, total: int) -> None:
        now = self._monotonic()
        if now >= self._next or done == total:
            self._next = now + _LINE_EVERY_S
            print(f"{self._title}: {done} of {total}", file=sys.stderr)


def print_sync_status(
    destinations: Sequence[DestinationState],
    studies: Sequence[StudyDelivery],
    not_queued: int,
    today: str,
    pauses: Mapping[str, SyncOrder],
) -> None:
    """Print how far each destination and each study has come.

    Parameters
    ----------
    destinations : sequence of DestinationState
    studies : sequence of StudyDelivery
    not_queued : int
        Instances held that the delivering process has not looked at yet.
    today : str
        The date in UTC, YYYY-MM-DD: times of today are written without it.
    pauses : mapping
        The order that keeps a destination from being sent to, by its name.
    """
    console = Console()
    if not destinations:
        console.print("Nothing is owed to a PACS yet: set pacs.host, pacs.port and pacs.ae_title.")
    if not_queued:
        console.print(f"[yellow]{not_queued} instances are not queued yet; does sync run?[/]")
    for item in destinations:
        console.print(_destination_lines(item, today), highlight=False)
        if pause := pauses.get(item.name):
            words = f"  Paused since {_short(pause.at, today)} by {pause.by}: {pause.reason}"
            console.print(words, style="yellow", highlight=False, markup=False)
        _print_bar(console, item)
    if studies:
        console.print(_study_table(studies, today))


def _print_bar(console: Console, item: DestinationState) -> None:
    total, proven = sum(item.counts.values()), item.counts[State.PROVEN]
    if total and console.is_terminal:
        console.print("  ", ProgressBar(total=total, completed=proven, width=60))
    console.print(f"  {proven} of {total} proven\n", highlight=False)


def _destination_lines(item: DestinationState, today: str) -> str:
    answers = {
        True: f"[green]answers[/] since {_short(item.changed_at, today)}",
        False: f"[red]does not answer[/] since {_short(item.changed_at, today)}: {item.detail}",
        None: "[yellow]not probed yet[/]",
    }[item.is_reachable]
    counts = ", ".join(f"{item.counts[state]} {state.value}" for state in State)
    oldest = _short(item.oldest_unproven_at, today) or "none"
    return (
        f"[bold]{item.name}[/] ({item.ae_title} at {item.host} port {item.port}) {answers}\n"
        f"  {counts}; oldest unproven: {oldest}"
    )


def _study_table(studies: Sequence[StudyDelivery], today: str) -> Table:
    table = Table("Study", "PACS", "State", "Queued", "Stored", "Proven", "By", box=SIMPLE)
    for item in studies:
        total = sum(item.counts.values())
        left = [f"{n} {state}" for state, n in item.counts.items() if n and state != State.PROVEN]
        proven = f"{item.counts[State.PROVEN]} of {total} proven"
        table.add_row(
            "…" + item.study_instance_uid[-8:],
            item.destination,
            ", ".join([proven, *left]),
            _short(item.queued_at, today),
            _short(item.stored_at, today),
            _short(item.proven_at, today),
            ", ".join(item.proofs),
        )
    return table


def _short(moment: str, today: str) -> str:
    return moment[:19].replace("T", " ").removeprefix(f"{today} ")


def print_status(status: dict[str, Any]) -> None:
    """Print what the node holds, then who may call it and whom it turned away.

    Parameters
    ----------
    status : dict
        As `checks.node_status` returns it.
    """
    apart = ("troubles", "modalities", "accept_unknown", "certificate", "refusals")
    for name, value in status.items():
        if name not in apart:
            print(f"{name.replace('_', ' '):24} {value}")
    for words in status["troubles"]:
        print(f"{'trouble':24} {words}")
    print(f"{'modalities':24} {status['modalities'] or 'none listed: everyone may send'}")
    opening, certificate = status["accept_unknown"], status["certificate"]
    if opening:
        print(f"{'accept unknown':24} {_opening_words(Opening(**opening))}")
    if certificate:
        print(f"{'certificate':24} {certificate['words']}")
    for item in status["refusals"][:_MOST_REFUSALS]:
        print(_refusal_line(item))


def print_mode(data: Path, *, as_json: bool) -> None:
    """Print the mode, what is known of each PACS, and the last changes.

    Parameters
    ----------
    data : Path
        The data folder.
    as_json : bool
        For scripts.
    """
    state = read_mode(data)
    changes = LedgerReader(data / LEDGER_FILE).mode_changes(limit=20)
    if as_json:
        found = asdict(state) | {"changes": [asdict(change) for change in changes]}
        print(json.dumps(found, indent=1))
        return
    console = Console()
    since = f" since {state.since}" if state.since else ""
    until = f" until {state.until}" if state.until else ""
    console.print(f"{state.mode.value.upper()}{since}{until}", style="bold", highlight=False)
    if state.since:
        console.print(f"by {state.by}: {state.reason}", markup=False, highlight=False)
    for one in state.pacs.values():
        words = one.words or "not probed yet"
        words += f"; still to be proven: {one.unproven}" if one.unproven else ""
        console.print(f"  {one.name} ({one.mode.value}): {words}", markup=False, highlight=False)
    if changes:
        console.print(_mode_table(changes))


def _mode_table(changes: Sequence[RecordedMode]) -> Table:
    table = Table("When", "Mode", "By", "Why", box=SIMPLE)
    for change in changes:
        table.add_row(*map(escape, (change.at, change.mode, change.by, change.reason)))
    return table


def print_modalities(settings: Settings, opening: Opening | None) -> None:
    """Print who may call the DICOM port.

    Parameters
    ----------
    settings : Settings
    opening : Opening or None
        Of the switch that accepts unknown callers.
    """
    table = Table("Name", "AE title", "Address", "Rights", "Note", box=SIMPLE)
    rows = [
        (one.name, one.ae_title, one.address or "any", one.rights, one.note)
        for one in settings.modalities
    ]
    rows += [(one.name, one.ae_title, one.host, tuple(OF_PACS), "PACS") for one in settings.pacs]
    for *words, rights, note in rows:
        table.add_row(*map(escape, (*words, " ".join(sorted(rights)), note)))
    console = Console()
    if table.row_count:
        console.print(table)
    if not settings.modalities:
        console.print("No modality is listed, so everyone may send: see docs/security.md.")
    elif opening:
        console.print(f"Unknown scanners are accepted {_opening_words(opening)}", markup=False)
    else:
        console.print("Unknown scanners are refused.")


def _opening_words(opening: Opening) -> str:
    reason = f": {opening.reason}" if opening.reason else ""
    return f"until {opening.until}, opened {opening.at} by {opening.by}{reason}"


def _refusal_line(item: dict[str, Any]) -> str:
    caller = item["calling_ae_title"] or "somebody"
    times = f"{item['count']} x, last {item['last_at']}"
    return f"{'turned away':24} {caller} at {item['address']}: {item['reason']}, {times}"
