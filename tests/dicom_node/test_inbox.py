import logging
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file

from dicom_node import dropped_files
from dicom_node.inbox import Inbox, inbox_state
from dicom_node.log import JsonLines
from dicom_node.quarantine import list_quarantine
from dicom_node.study_query import StudyQuery


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


# elements are of even length, so a cut at an odd place never looks like an end
@pytest.mark.parametrize("part", [0, 132, 501, 4001])
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
    path.write_bytes(whole[:4001])
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


def test_unfinished_names_are_left_alone(inbox, watch):
    (inbox.folder / "half.dcm.part").write_text("x")
    (inbox.folder / ".hidden").write_text("x")
    assert settle(inbox, watch) == 0
    assert len(list(inbox.folder.iterdir())) == 2


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


@pytest.fixture
def lines(caplog):
    """Return how often something was logged."""

    def count(event: str) -> int:
        return sum(record.message == event for record in caplog.records)

    caplog.set_level(logging.INFO)
    return count


def entry_kinds(caplog) -> list[str]:
    return sorted(r.state for r in caplog.records if r.message == "inbox_entry_ignored")


def test_what_is_no_ordinary_file_of_its_own_is_never_opened_and_told_once(
    inbox, watch, tmp_path, caplog, monkeypatch, make_instance
):
    secret = tmp_path / "secret"
    make_instance().save_as(secret, enforce_file_format=True)
    (inbox.folder / "link.dcm").symlink_to(secret)
    (inbox.folder / "folder-link").symlink_to(tmp_path)
    os.link(secret, inbox.folder / "hard.dcm")
    os.mkfifo(inbox.folder / "pipe.dcm")
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(inbox.folder)  # the address of such a socket is short
        listener.bind("socket.dcm")
    (inbox.folder / "x.dcm").mkdir()
    drop(inbox, make_instance(), "x.dcm/inside.dcm")
    opened = []
    real_open = os.open

    def watched_open(path, *arguments, **options):
        opened.append(str(path))
        return real_open(path, *arguments, **options)

    monkeypatch.setattr(os, "open", watched_open)
    taken = sum(settle(inbox, watch) for _ in range(3))
    assert taken == 1
    assert [path for path in opened if path.startswith(str(inbox.folder))] == [
        str(inbox.folder / "x.dcm/inside.dcm")
    ]
    assert entry_kinds(caplog) == ["hard-link", "link", "link", "special-file", "special-file"]
    assert secret.exists()


def test_a_device_is_never_opened(inbox, watch, caplog):
    try:
        os.mknod(inbox.folder / "zero.dcm", stat.S_IFCHR | 0o600, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("making a device node needs a privilege this machine does not give")
    assert settle(inbox, watch) == 0
    assert entry_kinds(caplog) == ["special-file"]


@pytest.mark.parametrize(
    "name",
    [
        b"..\\..\\x.dcm",
        b"n" * 251 + b".dcm",
        b"two\nlines.dcm",
        b"bad\xff\xfeutf8.dcm",
        b"NUL.dcm",
        b"-rf *;$(x).dcm",
        b"DOE^JOHN\x1b[2J.dcm",
    ],
)
def test_a_file_of_any_name_is_taken_under_a_name_of_ours_and_the_log_has_neither(
    inbox, watch, room, make_instance, name, tmp_path, caplog
):
    make_instance().save_as(tmp_path / "a", enforce_file_format=True)
    os.rename(tmp_path / "a", os.fsencode(inbox.folder) + b"/" + name)
    (inbox.folder / "note.txt").write_text("not a DICOM file")
    assert settle(inbox, watch) == 2
    (path,) = room.store.walk()
    assert path.startswith("instances/")
    assert path.endswith(".dcm")
    formatter = JsonLines()
    written = "\n".join(formatter.format(record) for record in caplog.records)
    assert "x.dcm" not in written
    assert "JOHN" not in written
    assert str(inbox.folder) not in written


def test_a_copy_that_paused_for_five_minutes_is_one_complete_import(
    inbox, watch, room, make_instance
):
    path = drop(inbox, make_instance())
    whole = path.read_bytes()
    path.write_bytes(whole[:3000])
    for _ in range(30):
        assert inbox.sweep() == 0
        watch.now += 10
    path.write_bytes(whole)
    assert settle(inbox, watch) == 1
    room.settle()
    assert room.reader.counts()["instances"] == 1
    assert list_quarantine(room.data / "quarantine") == []


@pytest.mark.parametrize("how", ["another file", "more bytes", "fewer bytes", "gone"])
def test_a_file_replaced_while_it_is_read_is_read_again(
    inbox, watch, room, make_instance, monkeypatch, how
):
    path = drop(inbox, make_instance(1))
    later = inbox.folder.parent / "later"
    make_instance(2, PatientID="PH-LATER").save_as(later, enforce_file_format=True)
    content = path.read_bytes()

    def change() -> None:
        if how == "another file":
            os.replace(later, path)
        elif how == "gone":
            path.unlink()
        else:
            path.write_bytes(content + b"more" if how == "more bytes" else content[:-4])

    real, changes = dropped_files._read_all, [change]

    def read(fd: int, size: int) -> bytes:
        found = real(fd, size)
        if changes:
            changes.pop()()
        return found

    monkeypatch.setattr(dropped_files, "_read_all", read)
    assert settle(inbox, watch) == 0
    assert list(room.store.walk()) == []
    if how == "another file":
        assert settle(inbox, watch) == 1
        room.settle()
        (study,) = room.reader.search_studies(StudyQuery())
        assert study.patient_id == "PH-LATER"
    assert list_quarantine(room.data / "quarantine") == []


def test_a_file_that_shrinks_while_it_is_copied_ends_nothing(
    inbox, watch, room, make_instance, monkeypatch
):
    monkeypatch.setattr(dropped_files, "IN_MEMORY_BYTES", 1000)
    path = drop(inbox, make_instance())
    content = path.read_bytes()
    real, cuts = dropped_files._private_copy, [500]

    def copy(fd: int, spool: Path):
        found = real(fd, spool)
        if cuts:
            path.write_bytes(content[: cuts.pop()])
        assert len(found[:]) == len(content)  # nobody else can take it away
        return found

    monkeypatch.setattr(dropped_files, "_private_copy", copy)
    assert settle(inbox, watch) == 0
    assert list(room.store.walk()) == []
    path.write_bytes(content)
    assert settle(inbox, watch) == 1


def test_a_large_file_is_not_held_in_memory_and_leaves_no_copy(
    inbox, watch, room, make_instance, monkeypatch
):
    monkeypatch.setattr(dropped_files, "IN_MEMORY_BYTES", 1000)
    ds = make_instance()
    drop(inbox, ds)
    inbox._spool = room.data / "incoming"
    assert settle(inbox, watch) == 1
    room.settle()
    assert room.reader.counts()["instances"] == 1
    assert list((room.data / "incoming").iterdir()) == []


def test_a_file_beyond_the_largest_is_left_alone(room, watch, make_instance, caplog):
    inbox = Inbox(
        room.data / "inbox", room.ingest, sweep_s=1, settle_s=10, largest_bytes=100, monotonic=watch
    )
    path = drop(inbox, make_instance())
    assert [settle(inbox, watch) for _ in range(3)] == [0, 0, 0]
    assert path.exists()
    assert entry_kinds(caplog) == ["too-large"]
    inbox.stop()


@pytest.mark.parametrize("how", ["renamed", "made anew", "removed and put back"])
def test_a_folder_that_was_replaced_is_noticed_and_watched_again(
    room, make_instance, wait, how, lines
):
    inbox = Inbox(room.data / "inbox", room.ingest, sweep_s=0.1, settle_s=0.1)
    inbox.start()
    elsewhere = room.data / "elsewhere"
    os.rename(inbox.folder, elsewhere)
    if how == "removed and put back":
        wait(lambda: inbox_state(room.data) == "gone")
        assert lines("inbox_gone") == 1
        assert not inbox.folder.exists()  # it may be where something was mounted
        os.rename(elsewhere, inbox.folder)
        wait(lambda: inbox_state(room.data) == "watched")
        assert lines("inbox_back") == 1
    else:
        inbox.folder.mkdir()
    path = drop(inbox, make_instance(1))
    wait(lambda: not path.exists())
    # and the system's notice comes from the new folder
    inbox._sweep_s = 3600.0
    inbox._hint.set()
    before = inbox._root
    wait(lambda: before == inbox._root and not inbox._hint.is_set())
    path = drop(inbox, make_instance(2))
    wait(lambda: not path.exists())
    inbox.stop()
    room.settle()
    assert room.reader.counts()["instances"] == 2


def test_after_a_restart_a_folder_that_vanished_is_not_made_again(room, watch):
    Inbox(room.data / "inbox", room.ingest, sweep_s=1, settle_s=1, monotonic=watch).stop()
    (room.data / "inbox").rmdir()
    again = Inbox(room.data / "inbox", room.ingest, sweep_s=1, settle_s=1, monotonic=watch)
    assert again.sweep() == 0
    assert not (room.data / "inbox").exists()
    assert inbox_state(room.data) == "gone"
    (room.data / "inbox").mkdir()
    again.sweep()
    assert inbox_state(room.data) == "watched"
    again.stop()


def test_a_mount_that_vanished_is_told_apart_from_its_empty_folder(inbox, room, monkeypatch):
    monkeypatch.setattr(os.path, "ismount", lambda path: True)
    inbox.sweep()
    monkeypatch.setattr(os.path, "ismount", lambda path: False)
    inbox.sweep()
    assert inbox_state(room.data) == "gone"
    assert inbox_state(room.data / "no such folder") == "never watched"


def test_a_folder_whose_permission_was_taken_away_hinders_nobody(inbox, watch, make_instance):
    closed = drop(inbox, make_instance(1), "closed/a.dcm")
    drop(inbox, make_instance(2), "b.dcm")
    closed.parent.chmod(0)
    if os.geteuid() != 0:
        assert settle(inbox, watch) == 1
    else:  # root may read it all the same: look as somebody else does
        inbox.folder.chmod(0o755)
        assert "unreadable-folder" in kinds_seen_by_nobody(inbox.folder)
        assert settle(inbox, watch) == 2
    closed.parent.chmod(0o700)


def kinds_seen_by_nobody(folder) -> set[str]:
    """Return the kinds of entries another user sees; its parents are open to all."""
    public = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        public.chmod(0o755)
        shutil.copytree(folder, public / "inbox", copy_function=shutil.copy)
        (public / "inbox" / "closed").chmod(0)
        program = (
            "import os, sys; os.setuid(65534)\n"
            "from pathlib import Path\n"
            "print(*[l.kind or 'file' for _, l in look_through(Path(sys.argv[1]))])\n"
        )
        # imported before the user changes, who may not read the project
        program = "from dicom_node.dropped_files import look_through\n" + program
        done = subprocess.run(
            [sys.executable, "-c", program, str(public / "inbox")],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).resolve().parents[2],
        )
        return set(done.stdout.split())
    finally:
        shutil.rmtree(public)


def test_a_full_disk_leaves_every_file_and_says_so_once_a_look(
    inbox, watch, room, make_instance, lines
):
    paths = [drop(inbox, make_instance(n), f"{n}.dcm") for n in range(20)]
    room.store._reserve_bytes = 1 << 60
    assert settle(inbox, watch) == 0
    assert all(path.exists() for path in paths)
    assert 1 <= lines("inbox_waits_for_room") <= 4
    room.store._reserve_bytes = 0
    assert inbox.sweep() == 20


def test_a_dicomdir_leads_nowhere(inbox, watch, room, caplog):
    with open(get_testdata_file("DICOMDIR"), "rb") as file:
        content = file.read()
    content = content.replace(b"77654033", b"..\\..\\..")  # one that leads out of its folder
    (inbox.folder / "DICOMDIR").write_bytes(content)
    settle(inbox, watch)
    assert settle(inbox, watch) == 0
    assert entry_kinds(caplog) == ["dicomdir"]
    assert list(room.store.walk()) == []
    assert list_quarantine(room.data / "quarantine") == []


@pytest.mark.parametrize("preamble", [b"MZ", b"\x7fELF", b"PK\3\4", b"<html>"])
def test_what_hides_in_a_preamble_does_not_get_in(inbox, watch, room, make_instance, preamble):
    path = drop(inbox, make_instance())
    path.write_bytes(preamble.ljust(128, b"\x90") + path.read_bytes()[128:])
    assert settle(inbox, watch) == 1
    (stored,) = room.store.walk()
    assert (room.data / stored).read_bytes()[:128] == bytes(128)


def test_a_group_length_that_lies_is_made_true(inbox, watch, room, make_instance):
    path = drop(inbox, make_instance())
    content = bytearray(path.read_bytes())
    content[140:144] = b"\xff\xff\xff\x7f"
    path.write_bytes(content)
    assert settle(inbox, watch) == 1
    (stored,) = room.store.walk()
    assert pydicom.dcmread(room.data / stored).PatientID == "PH-TEST"


def test_two_thousand_files_at_once_are_all_imported(inbox, watch, room, flood):
    flood(inbox.folder, 2000)
    begin = time.perf_counter()
    assert settle(inbox, watch) == 2000
    took_s = time.perf_counter() - begin
    room.settle()
    assert room.reader.counts()["instances"] == 2000
    assert list(inbox.folder.iterdir()) == []
    print(f"2000 files of 8 kB: {took_s:.1f} s, {took_s / 2:.2f} ms each")
