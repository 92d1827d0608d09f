"""What people open is remembered, at most once a minute for each study."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from time import monotonic

import sqlalchemy as sa

from dicom_node.clock import stamp
from dicom_node.desk_file import read_desk
from dicom_node.eviction import desk_tables, study_opened
from web.opened_studies import OpenedStudies


def opened(data) -> dict[str, str]:
    reader = read_desk(data, desk_tables)
    rows = {
        row["study_instance_uid"]: row["opened_at"] for row in reader.rows(sa.select(study_opened))
    }
    reader.close()
    return rows


def test_the_viewer_enters_the_study_it_shows(client, held, settings, clock) -> None:
    client.get("/")
    client.get("/studies/1.2.3.4")
    assert opened(settings.node.data) == {}
    client.get(f"/studies/{held.StudyInstanceUID}")
    assert opened(settings.node.data) == {held.StudyInstanceUID: stamp(clock())}


def test_a_study_is_entered_once_a_minute(tmp_path, clock) -> None:
    studies = OpenedStudies(tmp_path)
    first = clock()
    studies.note("1.2", first)
    studies.note("1.2", first + timedelta(seconds=59))
    assert opened(tmp_path) == {"1.2": stamp(first)}
    studies.note("1.2", first + timedelta(seconds=60))
    assert opened(tmp_path) == {"1.2": stamp(first + timedelta(seconds=60))}
    studies.note("1.2", first)  # the clock was put back
    assert opened(tmp_path) == {"1.2": stamp(first)}
    studies.close()


def test_a_desk_that_cannot_be_written_keeps_nobody_from_looking(tmp_path, clock) -> None:
    (tmp_path / "desk.sqlite").mkdir()
    OpenedStudies(tmp_path).note("1.2", clock())


def test_a_desk_in_use_delays_nobody_for_long(tmp_path, clock) -> None:
    studies = OpenedStudies(tmp_path)
    studies.note("1.2", clock())
    with closing(sqlite3.connect(tmp_path / "desk.sqlite")) as other:
        other.execute("BEGIN EXCLUSIVE")
        began = monotonic()
        studies.note("1.3", clock())
        assert monotonic() - began < 5
    assert list(opened(tmp_path)) == ["1.2"]
    studies.note("1.3", clock())
    assert list(opened(tmp_path)) == ["1.2", "1.3"]
    studies.close()
