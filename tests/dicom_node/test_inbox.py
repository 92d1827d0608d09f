import os

import pytest

from dicom_node.inbox import Inbox
from dicom_node.index import StudyQuery
from dicom_node.quarantine import list_quarantine


class Watch:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
def inbox(room, watch):
    return Inbox(room.data / "inbox", room.ingest, sweep_s=0.1, settle_s=10, monotonic=watch)


def drop(inbox: Inbox, ds, name: str = "a.dcm"):
    path = inbox.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    return path


def settle(inbox: Inbox, watch: Watch) -> int:
    """Look twice, with enough time between."""
    first = inbox.sweep()
    watch.now += 11
    return first + inbox.sweep()


def test_a_file_that_stands_still_is_taken_and_leaves(inbox, watch, room, make_instance):
    path = drop(inbox, make_instance(), "deep/in/folders/a.dcm")
    assert inbox.sweep() == 0
    watch.now += 11
    assert inbox.sweep() == 1
    assert not path.exists()
    room.settle()
    assert len(room.reader.search_studies(StudyQuery())) == 1


def test_a_growing_file_is_waited_for(inbox, watch, room, make_instance):
    path = drop(inbox, make_instance())
    whole = path.read_bytes()
    for part in (1000, 2000, 3000):
        path.write_bytes(whole[:part])
        assert inbox.sweep() == 0
        watch.now += 9
    path.write_bytes(whole)
    assert settle(inbox, watch) == 1
    assert list_quarantine(room.data / "quarantine") == []


def test_a_file_of_another_kind_goes_to_quarantine(inbox, watch, room):
    (inbox.folder / "note.txt").write_text("not a DICOM file")
    assert settle(inbox, watch) == 1
    (entry,) = list_quarantine(room.data / "quarantine")
    assert entry.door == "inbox"
    assert "DICM prefix is missing" in entry.reason
    assert not (inbox.folder / "note.txt").exists()


@pytest.mark.parametrize("content", [b"DICM", b"PK\3\4 zip", b"<html>" * 100])
def test_files_of_other_kinds_never_stop_the_inbox(inbox, watch, room, make_instance, content):
    (inbox.folder / "odd").write_bytes(content)
    drop(inbox, make_instance())
    assert settle(inbox, watch) == 2
    assert len(list_quarantine(room.data / "quarantine")) == 1


@pytest.mark.parametrize("part", [0, 132, 500, 4000])
def test_a_copy_that_stalls_is_waited_for_and_in_the_end_put_aside(
    inbox, watch, room, make_instance, part
):
    path = drop(inbox, make_instance())
    whole = path.read_bytes()
    path.write_bytes(whole[:part])
    assert settle(inbox, watch) == 0
    watch.now += 3600
    assert inbox.sweep() == 0
    assert path.exists()
    watch.now += 86400
    assert inbox.sweep() == 1
    assert len(list_quarantine(room.data / "quarantine")) == 1


def test_the_rest_of_a_stalled_copy_completes_it(inbox, watch, room, make_instance):
    path = drop(inbox, make_instance())
    whole = path.read_bytes()
    path.write_bytes(whole[:4000])
    assert settle(inbox, watch) == 0
    path.write_bytes(whole)
    assert settle(inbox, watch) == 1
    assert list_quarantine(room.data / "quarantine") == []


def test_a_file_that_cannot_be_removed_is_taken_once(inbox, watch, room, make_instance):
    drop(inbox, make_instance())
    (inbox.folder / "note.txt").write_text("not a DICOM file")

    def refuse(path: str) -> None:
        raise PermissionError(path)

    inbox._unlink = refuse
    for _ in range(5):
        settle(inbox, watch)
    assert len(list_quarantine(room.data / "quarantine")) == 1
    room.settle()
    assert room.reader.counts()["instances"] == 1


def test_links_pipes_and_unfinished_names_are_left_alone(inbox, watch, tmp_path):
    (tmp_path / "secret").write_text("x")
    (inbox.folder / "link.dcm").symlink_to(tmp_path / "secret")
    os.mkfifo(inbox.folder / "pipe.dcm")
    (inbox.folder / "half.dcm.part").write_text("x")
    (inbox.folder / ".hidden").write_text("x")
    assert settle(inbox, watch) == 0
    assert len(list(inbox.folder.iterdir())) == 4


def test_a_file_that_cannot_be_stored_stays(inbox, watch, room, make_instance, monkeypatch):
    path = drop(inbox, make_instance())
    room.store._reserve_bytes = 1 << 60
    assert settle(inbox, watch) == 0
    assert path.exists()
    room.store._reserve_bytes = 0
    assert settle(inbox, watch) == 1


def test_the_watching_thread_takes_a_file_soon(room, make_instance, wait):
    inbox = Inbox(room.data / "inbox", room.ingest, sweep_s=0.1, settle_s=0.2)
    inbox.start()
    path = drop(inbox, make_instance())
    wait(lambda: not path.exists())
    inbox.stop()
