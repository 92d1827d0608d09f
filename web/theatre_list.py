"""The day's theatre list: a CSV file the site drops, read anew whenever it changes."""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from web.words import counted

COLUMNS: Final = ("patient_id", "time", "theatre", "procedure", "side")
MOST_BYTES: Final = 1_000_000
MOST_ROWS: Final = 2000
MOST_ERRORS: Final = 3
"""Bad lines that are named; the others are counted."""
_LONGEST_CELL: Final = 200
_SIDES: Final = {
    **dict.fromkeys(("", "-", "na", "n/a", "none"), ""),
    **dict.fromkeys(("l", "left"), "L"),
    **dict.fromkeys(("r", "right"), "R"),
    **dict.fromkeys(("b", "both", "bilateral"), "B"),
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One line of the list; `time` is HH:MM, `side` is L, R, B or "" where it says none."""

    patient_id: str
    time: str
    theatre: str
    procedure: str
    side: str


@dataclass(frozen=True, slots=True)
class TheatreList:
    """What the file says: operations in the order of their times, and what could not be read.

    `as_of` is when the file was written, ISO 8601 in UTC; "" where there is none.
    """

    operations: tuple[Operation, ...] = ()
    errors: tuple[str, ...] = ()
    as_of: str = ""
    of_patient: Mapping[str, tuple[Operation, ...]] = field(default_factory=dict)

    @property
    def theatres(self) -> tuple[str, ...]:
        """The theatres it names, each once."""
        return tuple(sorted({one.theatre for one in self.operations if one.theatre}))


class TheatreListFile:
    """The file, read again when its time or size changed.

    Parameters
    ----------
    path : Path or None
        None where the site has no such file.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._read: tuple[str, TheatreList] = ("", TheatreList())

    @property
    def is_wanted(self) -> bool:
        """Whether the site has such a file."""
        return self._path is not None

    def mark(self) -> str:
        """Return a text that changes with the file."""
        if self._path is None:
            return ""
        try:
            status = self._path.stat()
        except OSError:
            return "away"
        return f"{status.st_mtime_ns:x}.{status.st_size:x}"

    def current(self) -> TheatreList:
        """Return what the file says now."""
        mark = self.mark()
        if self._path is not None and mark != self._read[0]:
            self._read = (mark, read_theatre_list(self._path))
        return self._read[1]


def read_theatre_list(path: Path) -> TheatreList:
    """Read a file; whatever is wrong with it becomes an error in words, never an exception.

    Parameters
    ----------
    path : Path
        A CSV file with a head line that names the columns, in any order.

    Returns
    -------
    TheatreList
        Without operations where the file as a whole cannot be understood.
    """
    try:
        with path.open("rb") as file:
            written = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat()
            content = file.read(MOST_BYTES + 1)
    except OSError:
        return TheatreList(errors=("The file cannot be read.",))
    if len(content) > MOST_BYTES:
        return TheatreList(errors=("The file is larger than 1 MB.",), as_of=written)
    try:
        return theatre_list(decoded(content), written)
    except csv.Error:
        return TheatreList(errors=("The file is not a table of text.",), as_of=written)


def decoded(content: bytes) -> str:
    """Return the file's text: UTF-8, or what Windows programs write.

    Parameters
    ----------
    content : bytes
        Of the file.

    Returns
    -------
    str
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def theatre_list(text: str, as_of: str) -> TheatreList:
    """Read the text of a list.

    Parameters
    ----------
    text : str
        Comma, semicolon or tab between the columns.
    as_of : str
        When it was written.

    Returns
    -------
    TheatreList
        A line that cannot be understood is left out and named by its number.
    """
    head = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text), delimiter=max(",;\t", key=head.count), strict=True)
    names = [name.strip().lower().replace(" ", "_") for name in next(rows, [])]
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        words = f"The first line must name the columns; not there: {', '.join(missing)}."
        return TheatreList(errors=(words,), as_of=as_of)
    operations: list[Operation] = []
    errors: list[str] = []
    for line, cells in numbered(rows):
        given = dict(zip(names, cells, strict=False))
        if wrong := what_is_wrong(given):
            errors.append(f"Line {line}: {wrong}")
        elif len(operations) == MOST_ROWS:
            errors.append(f"Line {line} and the rest: more than {MOST_ROWS} lines.")
            break
        else:
            operations.append(operation(given))
    return put_together(operations, errors, as_of)


def numbered(rows: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Give the lines below the head line their numbers in the file; empty ones are dropped.

    Parameters
    ----------
    rows : iterator of list of str
        Cells of each line.

    Yields
    ------
    tuple of int and list of str
    """
    for line, cells in enumerate(rows, start=2):
        if any(cell.strip() for cell in cells):
            yield line, cells


def what_is_wrong(given: Mapping[str, str]) -> str:
    """Say what is wrong with a line, never what its cells say; "" when nothing is.

    Parameters
    ----------
    given : mapping
        Column to cell.

    Returns
    -------
    str
    """
    if any(name not in given for name in COLUMNS):
        return "too few columns."
    if not given["patient_id"].strip():
        return "no patient_id."
    if not clock(given["time"]):
        return "time must be HH:MM."
    if given["side"].strip().lower() not in _SIDES:
        return "side must be left, right, both or empty."
    if any(len(given[name]) > _LONGEST_CELL for name in COLUMNS):
        return f"a cell is longer than {_LONGEST_CELL} characters."
    return ""


def operation(given: Mapping[str, str]) -> Operation:
    """Return a line that was found to be right.

    Parameters
    ----------
    given : mapping
        Column to cell.

    Returns
    -------
    Operation
    """
    return Operation(
        patient_id=given["patient_id"].strip(),
        time=clock(given["time"]),
        theatre=given["theatre"].strip(),
        procedure=given["procedure"].strip(),
        side=_SIDES[given["side"].strip().lower()],
    )


def clock(text: str) -> str:
    """Return a time of day as HH:MM, "" when it is none.

    Parameters
    ----------
    text : str
        As in `8:30`, `08.30`, `0830` or `08:30:00`.

    Returns
    -------
    str
    """
    match = re.fullmatch(r"([01]?\d|2[0-3])[:.]?([0-5]\d)(:[0-5]\d)?", text.strip(), re.ASCII)
    return f"{int(match[1]):02d}:{match[2]}" if match else ""


def same_id(patient_id: str) -> str:
    """Return a Patient ID in the form two of them are compared in: NHS numbers come with spaces.

    Parameters
    ----------
    patient_id : str
        As written.

    Returns
    -------
    str
    """
    return patient_id.replace(" ", "").upper()


def put_together(operations: list[Operation], errors: list[str], as_of: str) -> TheatreList:
    """Return the list in the order of its times, with the operations of each patient.

    Parameters
    ----------
    operations : list of Operation
        As they stand in the file.
    errors : list of str
        One for each bad line.
    as_of : str
        When it was written.

    Returns
    -------
    TheatreList
    """
    ordered = sorted(operations, key=lambda one: (one.time, one.theatre))
    of_patient: dict[str, tuple[Operation, ...]] = {}
    for one in ordered:
        key = same_id(one.patient_id)
        of_patient[key] = (*of_patient.get(key, ()), one)
    if len(errors) > MOST_ERRORS:
        errors = [*errors[:MOST_ERRORS], f"{counted(len(errors) - MOST_ERRORS, 'line')} more."]
    return TheatreList(tuple(ordered), tuple(errors), as_of, of_patient)
