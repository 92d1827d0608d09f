"""An older ledger is brought up to date with every row kept, or stays as it was."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from dicom_node.database import writer_engine
from dicom_node.errors import BadSettings, StorageFailed
from dicom_node.ledger import LedgerReader
from dicom_node.ledger_tables import SCHEMA_VERSION
from dicom_node.ledger_writer import Ledger
from tests.dicom_node.first_ledger import content, version, write_first_ledger

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def first_ledger(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.sqlite"
    write_first_ledger(path, 120)
    return path


def form(path: Path) -> set[tuple]:
    """Read columns with types and defaults, and the columns of indexes in their order."""
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT type, name FROM sqlite_master").fetchall()
        found = set()
        for kind, name in names:
            info = "index_info" if kind == "index" else "table_info"
            for number, *rest in connection.execute(f"PRAGMA {info}({name})"):
                # a column that was added later stands last, and columns have names
                found.add((name, number, rest[-1]) if kind == "index" else (name, *rest))
        return found


def test_every_row_of_an_older_ledger_is_kept(first_ledger):
    before = content(first_ledger)

    Ledger(first_ledger).close()

    assert version(first_ledger) == SCHEMA_VERSION
    assert content(first_ledger) == before
    reader = LedgerReader(first_ledger)
    [place] = reader.destinations()
    assert sum(place.counts.values()) == 120
    assert {item.identity_state for item in reader.deliveries("1.2.3")} == {""}
    reader.close()


def test_a_migrated_ledger_has_the_form_of_a_new_one(first_ledger, tmp_path):
    Ledger(first_ledger).close()
    Ledger(tmp_path / "new.sqlite").close()

    assert form(first_ledger) == form(tmp_path / "new.sqlite")


def test_a_copy_of_the_older_ledger_stays_beside_it(first_ledger):
    before = content(first_ledger)

    Ledger(first_ledger).close()

    copy = first_ledger.with_name("ledger-v1.sqlite")
    assert version(copy) == "1"
    assert content(copy) == before


def test_without_room_for_the_copy_nothing_is_changed(first_ledger):
    first_ledger.with_name("ledger-v1.sqlite").mkdir()

    with pytest.raises(StorageFailed, match="make room"):
        Ledger(first_ledger)

    assert version(first_ledger) == "1"


def test_a_ledger_of_a_newer_version_is_refused_in_words(tmp_path):
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(path)
    ledger.set_mark("schema", "99")
    ledger.close()

    with pytest.raises(BadSettings, match=r"newer version of Lifeboat \(form 99"):
        Ledger(path)

    assert version(path) == "99"


def test_a_ledger_cut_off_before_its_version_was_written_is_migrated(first_ledger):
    with closing(sqlite3.connect(first_ledger)) as connection, connection:
        connection.execute("DELETE FROM about")

    Ledger(first_ledger).close()

    assert version(first_ledger) == SCHEMA_VERSION


def test_a_reader_finds_an_older_ledger_empty_until_it_is_migrated(first_ledger):
    reader = LedgerReader(first_ledger)
    assert reader.destinations() == []
    assert reader.last_instance_id() == 0

    Ledger(first_ledger).close()

    assert reader.last_instance_id() == 17
    reader.close()


def test_a_kill_at_any_step_leaves_the_old_ledger_or_the_new_one(first_ledger, tmp_path):
    writer_engine(first_ledger).connect().close()  # its log is written back
    before = content(first_ledger)
    folder = tmp_path / "killed"
    folder.mkdir()
    victim = [sys.executable, "-m", "tests.dicom_node.migration_victim", first_ledger, folder]
    done = subprocess.run(victim, capture_output=True, check=True, timeout=60, cwd=REPOSITORY)
    versions = json.loads(done.stdout)

    assert len(versions) > 20
    assert versions == sorted(versions)
    assert set(versions) == {"1", SCHEMA_VERSION}
    killed = sorted(folder.glob("*/ledger.sqlite"))
    assert all(content(path) == before for path in killed)
    last_old = killed[versions.index(SCHEMA_VERSION) - 1]
    Ledger(last_old).close()
    assert version(last_old) == SCHEMA_VERSION
    assert content(last_old) == before
