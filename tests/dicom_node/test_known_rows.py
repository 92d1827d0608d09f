"""What is remembered of a database is never older than whoever asks for it may be told."""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom_node.database import ReadOnlyDatabase
from dicom_node.known_rows import KnownRows

TABLE = sa.Table("commits", sa.MetaData(), sa.Column("number", sa.Integer, primary_key=True))
COUNT = sa.select(sa.func.count()).select_from(TABLE)


class Books:
    """A database with a row for each commit, and a clock that a test sets."""

    def __init__(self, folder: Path, most: int = 10) -> None:
        self.now = 0.0
        self.commits_at = [0.0]
        self.writer = sqlite3.connect(folder / "books.sqlite")
        self.writer.execute("PRAGMA journal_mode=WAL")
        self.writer.execute("CREATE TABLE commits (number INTEGER PRIMARY KEY)")
        self.writer.commit()
        self.database = ReadOnlyDatabase(folder / "books.sqlite", "commits")
        self.looks = 0
        self.known: KnownRows[str, int] = KnownRows(self.database, most, self.clock)

    def clock(self) -> float:
        self.looks += 1
        return self.now

    def commit(self) -> None:
        self.writer.execute("INSERT INTO commits DEFAULT VALUES")
        self.writer.commit()
        self.commits_at.append(self.now)

    def count_known(self, moment: float) -> int:
        rows = self.known.since(moment)
        if "count" not in rows:
            rows["count"] = (self.database.first_row(COUNT, {}) or (0,))[0]
        return rows["count"]

    def count_at(self, moment: float) -> int:
        return sum(at < moment for at in self.commits_at[1:])

    def close(self) -> None:
        self.database.close()
        self.writer.close()


steps = st.lists(
    st.one_of(st.just("commit"), st.just("later"), st.integers(0, 6)), min_size=1, max_size=40
)


@given(steps)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_whatever_was_committed_before_one_asked_is_known(sequence: list[str | int]) -> None:
    with tempfile.TemporaryDirectory() as folder, closing(Books(Path(folder))) as books:
        for step in sequence:
            if step == "commit":
                books.commit()
            elif step == "later":
                books.now += 1
            else:
                moment = books.now - int(step)
                assert books.count_known(moment) >= books.count_at(moment)


def test_of_those_who_asked_before_one_looked_nobody_looks_again(tmp_path: Path) -> None:
    with closing(Books(tmp_path)) as books:
        books.now = 10
        assert [books.count_known(moment) for moment in (9, 5, 10, 9.5)] == [0] * 4
        assert books.looks == 1
        books.commit()
        assert books.count_known(10) == 0
        assert books.count_known(10.1) == 1
        assert books.looks == 2


def test_who_does_not_say_when_always_looks(tmp_path: Path) -> None:
    with closing(Books(tmp_path)) as books:
        for _ in range(3):
            books.known.since()
        assert books.looks == 3


def test_no_more_is_remembered_than_is_wanted(tmp_path: Path) -> None:
    with closing(Books(tmp_path, most=2)) as books:
        books.known.since(0).update(one=1, two=2)
        assert books.known.since(0) == {}
