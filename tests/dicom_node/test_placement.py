"""What is acknowledged from the journal gets its file, whatever happens in between."""

import errno
import os
import struct
import threading

import pytest

from dicom_node import journal as journal_module
from dicom_node.errors import StorageFailed
from dicom_node.index import IndexReader
from dicom_node.index_queue import IndexQueue
from dicom_node.index_writer import Index
from dicom_node.ingest import Ingest, Origin
from dicom_node.journal import Journal
from dicom_node.part10 import build_head, read_head
from dicom_node.placement import Placement
from dicom_node.quarantine import Quarantine
from dicom_node.storage import InstanceStore
from dicom_node.stored_file import is_intact, read_file_head
from tests.conftest import wait_until

SIZE = 4 << 20
ORIGIN = Origin("c-store", "CT1")


class JournalRoom:
    """The receiving half with a journal, which can be left as a crash would leave it."""

    def __init__(self, data, encode) -> None:
        self.data = data
        self.encode = encode
        self.troubles = []
        self.is_closed = False
        self.store = InstanceStore(data)
        self.index = Index(data / "index.sqlite")
        self.queue = IndexQueue(self.index.add, self.store.forget)
        self.journal = Journal(data / "journal", SIZE)
        self.placement = Placement(self.journal, self.store, self.queue, self.troubles.append)
        self.ingest = Ingest(
            self.store, Quarantine(data / "quarantine"), self.queue, placement=self.placement
        )

    def start(self):
        self.queue.start()
        self.placement.start()
        assert self.placement._is_replayed.wait(20)
        wait_until(lambda: not self.journal.is_to_be_made and not self.journal.used_bytes)
        return self

    def accept(self, ds):
        syntax = str(ds.file_meta.TransferSyntaxUID)
        return self.ingest.accept(self.encode(ds), syntax, ORIGIN)

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            self.placement.stop()
            self.queue.stop()
            self.journal.close()
            self.index.close()
            self.store.close()

    def files(self):
        return sorted(self.store.walk())


@pytest.fixture
def make_room(tmp_path, encode_dataset):
    rooms = []

    def make():
        for room in rooms:
            room.close()
        rooms[:] = [JournalRoom(tmp_path / "data", encode_dataset)]
        return rooms[0]

    yield make
    for room in rooms:
        room.close()


@pytest.fixture
def leave_in_journal(tmp_path, encode_dataset):
    """Acknowledge instances as a process does that dies before it gives them their files."""

    def leave(*datasets) -> None:
        (tmp_path / "data").mkdir(exist_ok=True)
        journal = Journal(tmp_path / "data" / "journal", SIZE)
        journal.open()
        journal.prepare()
        for ds in datasets:
            head = build_head(
                ds.SOPClassUID,
                ds.SOPInstanceUID,
                ds.file_meta.TransferSyntaxUID,
                source_ae_title="CT1",
                received_at="2026-01-02T03:04:05.000+00:00",
            )
            journal.append((head, encode_dataset(ds)))
        journal.close()

    return leave


def test_an_instance_gets_its_file_its_row_and_frees_its_place(make_room, make_instance, wait):
    room = make_room().start()
    ds = make_instance()
    assert room.accept(ds) is None
    wait(lambda: room.placement.backlog_bytes == 0, what="the journal is released")
    (path,) = room.files()
    head = read_file_head(room.data / path)
    assert is_intact(room.data / path, head.digest)
    assert head.sop_instance_uid == ds.SOPInstanceUID
    reader = IndexReader(room.data / "index.sqlite")
    assert reader.counts()["instances"] == 1
    reader.close()
    assert list((room.data / "incoming").iterdir()) == []


def test_what_a_dead_process_acknowledged_is_placed_at_the_next_start(
    make_room, make_instance, leave_in_journal, wait
):
    first, second = make_instance(1), make_instance(2)
    leave_in_journal(first, second)
    room = make_room().start()
    assert len(room.files()) == 2
    wait(lambda: room.placement.backlog_bytes == 0)
    room = make_room().start()
    assert room.journal.used_bytes == 0
    assert len(room.files()) == 2


@pytest.mark.parametrize("left", [0, 700, 5000])
def test_a_file_a_power_cut_left_half_is_written_again(
    make_room, make_instance, leave_in_journal, left
):
    ds = make_instance()
    leave_in_journal(ds)
    room = make_room().start()
    (path,) = room.files()
    whole = (room.data / path).read_bytes()
    room.close()
    os.truncate(room.data / path, left)
    leave_in_journal(ds)
    room = make_room().start()
    assert room.files() == [path]
    assert len((room.data / path).read_bytes()) == len(whole)
    assert is_intact(room.data / path, read_file_head(room.data / path).digest)


def test_other_bytes_under_one_uid_are_both_kept(make_room, make_instance, wait):
    ds = make_instance()
    room = make_room().start()
    for name in ("ONE", "TWO", "ONE"):
        ds.PatientName = name
        room.accept(ds)
    wait(lambda: room.placement.backlog_bytes == 0)
    assert [path.count("~2") for path in room.files()] == [0, 1]


def test_other_bytes_under_one_uid_are_both_kept_over_a_crash(
    make_room, make_instance, leave_in_journal
):
    ds, other = make_instance(), make_instance()
    other.SOPInstanceUID = ds.SOPInstanceUID
    other.StudyInstanceUID, other.SeriesInstanceUID = ds.StudyInstanceUID, ds.SeriesInstanceUID
    other.PatientName = "OTHER"
    leave_in_journal(ds, other)
    assert len(make_room().start().files()) == 2


def test_a_disk_that_takes_no_files_for_a_while_delays_them_only(
    make_room, make_instance, wait, monkeypatch
):
    room = make_room().start()
    real = InstanceStore.place

    def refuse(*arguments, **options):
        raise StorageFailed("the disk refused the write, not saved")

    monkeypatch.setattr(InstanceStore, "place", refuse)
    room.accept(make_instance())
    wait(lambda: room.troubles, what="trouble is told")
    assert room.files() == []
    monkeypatch.setattr(InstanceStore, "place", real)
    wait(lambda: len(room.files()) == 1)


def test_what_cannot_be_synced_stays_in_the_journal_until_the_next_start(
    make_room, make_instance, wait, monkeypatch
):
    room = make_room().start()

    def refuse(store, paths):
        raise StorageFailed("the disk refused the write, not saved")

    with monkeypatch.context() as broken:
        broken.setattr(InstanceStore, "settle", refuse)
        room.accept(make_instance())
        wait(lambda: room.troubles, what="trouble is told")
        assert room.placement.backlog_bytes > 0
        room.close()
    inode = os.stat(room.data / room.files()[0]).st_ino
    room = make_room().start()
    (path,) = room.files()
    # written anew: a second sync of the first file might succeed without having written it
    assert os.stat(room.data / path).st_ino != inode
    assert room.journal.used_bytes == 0


def test_a_disk_that_fails_under_the_journal_is_answered_so(make_room, make_instance, monkeypatch):
    room = make_room().start()

    def fail(fd):
        raise OSError(errno.EIO, "input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", fail)
        with pytest.raises(StorageFailed):
            room.accept(make_instance())
    assert room.accept(make_instance()) is not None  # it has a file of its own at once


def test_a_data_set_that_begins_like_a_head_is_replayed_as_it_came(
    make_room, make_instance, leave_in_journal, encode_dataset
):
    ds = make_instance()
    real = encode_dataset(ds)
    begins_like_a_head = struct.pack("<HH2sH", 2, 0x0013, b"SH", 4) + b"EVIL" + real
    head = build_head(
        ds.SOPClassUID,
        ds.SOPInstanceUID,
        ds.file_meta.TransferSyntaxUID,
        source_ae_title="CT1",
        received_at="2026-01-02T03:04:05.000+00:00",
    )
    assert read_head(head + begins_like_a_head).dataset_offset == len(head)


def test_one_instance_that_cannot_be_placed_keeps_no_other_waiting(
    make_room, make_instance, wait, monkeypatch
):
    room = make_room().start()
    bad, good = make_instance(1), make_instance(2)
    real = InstanceStore.place

    def refuse_bad(store, head, dataset, **uids):
        if uids["sop_instance_uid"] == bad.SOPInstanceUID:
            raise ValueError("nobody foresaw this")
        return real(store, head, dataset, **uids)

    with monkeypatch.context() as broken:
        broken.setattr(InstanceStore, "place", refuse_bad)
        room.accept(bad)
        room.accept(good)
        wait(lambda: len(room.files()) == 1, what="the good one has its file")
        assert room.troubles
    wait(lambda: len(room.files()) == 2, what="the bad one is tried again")


def test_while_the_journal_is_made_an_instance_has_its_own_file_at_once(
    make_room, make_instance, monkeypatch
):
    is_filling, may_end = threading.Event(), threading.Event()

    def fill(fd, size):
        is_filling.set()
        assert may_end.wait(20)

    monkeypatch.setattr(journal_module, "_fill", fill)
    room = make_room()
    room.queue.start()
    room.placement.start()
    assert is_filling.wait(20)
    assert room.accept(make_instance()) is not None
    may_end.set()


def test_a_torn_file_without_a_head_is_set_aside(make_room, make_instance, leave_in_journal):
    ds = make_instance()
    leave_in_journal(ds)
    room = make_room().start()
    (path,) = room.files()
    room.close()
    (room.data / path).write_bytes(bytes(5000))
    leave_in_journal(ds)
    room = make_room().start()
    assert room.files() == [path]
    assert is_intact(room.data / path, read_file_head(room.data / path).digest)
    (aside,) = (room.data / "quarantine").glob("*.torn")
    assert aside.read_bytes() == bytes(5000)
