"""The desk stays readable whatever becomes of those that write it."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
import sqlalchemy as sa

from dicom_node.desk_file import FILE, open_desk, read_desk

TABLES = sa.MetaData()
WORDS = sa.Table("words", TABLES, sa.Column("word", sa.Text))
DIES = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("PRAGMA cache_size=2")
connection.execute("BEGIN")
connection.execute("UPDATE words SET word = 'half done'")
connection.executemany("INSERT INTO words VALUES (?)", [("x" * 1000,)] * 1000)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def desk(tmp_path):
    engine = open_desk(tmp_path, TABLES)
    with engine.begin() as connection:
        connection.execute(sa.insert(WORDS), [{"word": "whole"}] * 1000)
    engine.dispose()
    return tmp_path


def words(reader) -> set[str]:
    return {row["word"] for row in reader.rows(sa.select(WORDS))}


def test_what_a_writer_that_was_killed_left_half_done_is_taken_back_by_the_next_reader(desk):
    died = subprocess.run([sys.executable, "-c", DIES, desk / FILE], check=False)
    assert died.returncode == -signal.SIGKILL
    assert os.path.getsize(desk / f"{FILE}-journal")
    assert b"half done" in (desk / FILE).read_bytes()
    reader = read_desk(desk, TABLES)

    assert words(reader) == {"whole"}

    reader.close()


def test_a_reader_of_the_desk_still_cannot_write(desk):
    reader = read_desk(desk, TABLES)
    assert words(reader) == {"whole"}
    with (
        closing(reader._opened.raw_connection()) as connection,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        connection.execute("DELETE FROM words")
    reader.close()
