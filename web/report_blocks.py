"""A structured report in the blocks a page is made of: sections, lines, tables, pictures."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from viewer.references import Reference
from viewer.structured_report import ContentItem
from web import words

MOST_PICTURES: Final = 200
"""References of one item beyond so many are counted, not listed."""
FEWEST_ROWS: Final = 2
MOST_ENTRIES: Final = 60
"""Sibling containers of more values than this are no table."""

_CONTAINER: Final = "CONTAINER"
_NOT_FOR_TABLES: Final = frozenset(("UIDREF",))
"""What no reader looks for in a table of measurements."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An instance a report refers to: its address here, "" when this node does not hold it."""

    sop_instance_uid: str
    frame_numbers: tuple[int, ...]
    address: str
    is_image: bool


@dataclass(frozen=True, slots=True)
class Table:
    """Sibling containers of the same kind: a row for each value, a column for each container."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Block:
    """One part of a report.

    `kind` is `section`, `line`, `text`, `table` or `pictures`; `blocks` are those within it. Of
    the instances referred to, `more` are left out and `missing` are not on this node.
    """

    kind: str
    name: str = ""
    value: str = ""
    blocks: tuple["Block", ...] = ()
    table: Table | None = None
    pictures: tuple[Picture, ...] = ()
    more: int = 0
    missing: int = 0


Locate = Callable[[Reference], Picture]


@dataclass(frozen=True, slots=True)
class BlockWriter:
    """Turns content items into blocks; `locate` finds the instances they refer to."""

    locate: Locate = field(repr=False)

    def blocks(self, items: Iterable[ContentItem]) -> tuple[Block, ...]:
        """Return the blocks of content items.

        Parameters
        ----------
        items : iterable of ContentItem
            Siblings, in the report's order.

        Returns
        -------
        tuple of Block
        """
        return tuple(
            block for _, together in groupby(items, _kind) for block in self._of(list(together))
        )

    def _of(self, siblings: Sequence[ContentItem]) -> Iterator[Block]:
        """Return the blocks of neighbours of one kind: pictures and like containers together."""
        first = siblings[0]
        table = table_of(siblings) if first.value_type == _CONTAINER else None
        if table is not None:
            yield Block("table", first.name, table=table)
        elif first.references and not any(item.items for item in siblings):
            yield self._pictures(siblings)
        else:
            yield from map(self._one, siblings)

    def _pictures(self, siblings: Sequence[ContentItem]) -> Block:
        found = [self.locate(one) for item in siblings for one in item.references]
        here = [one for one in found if one.address]
        return Block(
            "pictures",
            siblings[0].name,
            blocks=self.blocks(below for item in siblings for below in item.items),
            pictures=tuple(here[:MOST_PICTURES]),
            more=max(0, len(here) - MOST_PICTURES),
            missing=len(found) - len(here),
        )

    def _one(self, item: ContentItem) -> Block:
        within = self.blocks(item.items)
        if item.value_type == _CONTAINER:
            return Block("section", item.name, blocks=within)
        if item.references:
            return self._pictures([item])
        is_long = item.value_type == "TEXT" and (len(item.value) > 80 or "\n" in item.value)
        return Block("text" if is_long else "line", item.name, value_words(item), within)


def _kind(item: ContentItem) -> tuple[str, str, bool]:
    """Return what neighbours must share to be shown together."""
    is_together = item.value_type == _CONTAINER or bool(item.references)
    return (item.value_type, item.name_code or item.name, is_together)


def table_of(siblings: Sequence[ContentItem]) -> Table | None:
    """Return like containers as a table, as a dose report's irradiation events are read.

    Parameters
    ----------
    siblings : sequence of ContentItem
        Neighbours of one kind.

    Returns
    -------
    Table or None
        None when they are too few, or hold more than names with single values.
    """
    columns = [dict(_entries(item)) for item in siblings]
    names = list(dict.fromkeys(name for column in columns for name in column))
    is_plain = all(_is_plain(item) for item in siblings)
    if len(siblings) < FEWEST_ROWS or not is_plain or not 0 < len(names) <= MOST_ENTRIES:
        return None
    return Table(
        columns=tuple(str(number) for number in range(1, len(siblings) + 1)),
        rows=tuple((name, *(column.get(name, "") for column in columns)) for name in names),
    )


def _is_plain(item: ContentItem) -> bool:
    """Return whether all below a container are values with names that occur once, and no more."""
    names = [name for name, _ in _entries(item)]
    return len(names) == len(set(names)) and all(names) and not _holds_more(item)


def _holds_more(container: ContentItem) -> bool:
    return any(
        one.references
        or (one.value_type == _CONTAINER and _holds_more(one))
        or (one.value_type != _CONTAINER and any(below.value for below in one.items))
        or "\n" in one.value
        for one in container.items
    )


def _entries(container: ContentItem) -> Iterator[tuple[str, str]]:
    """Return names and values below a container; those of containers within it follow theirs."""
    for item in container.items:
        if item.value_type == _CONTAINER:
            yield from _entries(item)
        elif item.value_type not in _NOT_FOR_TABLES:
            yield item.name, value_words(item)


def value_words(item: ContentItem) -> str:
    """Return an item's value as people read it.

    Parameters
    ----------
    item : ContentItem

    Returns
    -------
    str
    """
    value = item.value
    if item.value_type in ("DATE", "DATETIME", "TIME"):
        return date_time_words(value, item.value_type)
    if item.value_type == "PNAME":
        return words.person_name(value)
    return f"{value} {item.unit}".strip()


def date_time_words(value: str, value_type: str = "DATETIME") -> str:
    """Return a DA, DT or TM value in words: "14-Jul-2026 09:30".

    Parameters
    ----------
    value : str
        As DICOM writes it.
    value_type : str
        `DATE`, `DATETIME` or `TIME`.

    Returns
    -------
    str
        What is none is returned as it stands.
    """
    if value_type == "TIME":
        return words.clock_time(value) or value
    if words.parse_date(value[:8]) is None:
        return value
    time = words.clock_time(value[8:]) if value_type == "DATETIME" else ""
    return f"{words.calendar_date(value[:8])} {time}".strip()
