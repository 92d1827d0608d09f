import os
import shutil
import threading

import sqlalchemy.exc

from dicom_node.index import FILE, IndexReader
from dicom_node.receiver import Receiver, open_index, reindex
from dicom_node.reconcile import adopt_pending, scan_store
from dicom_node.settings import load_settings
from dicom_node.storage import InstanceStore
from dicom_node.study_query import StudyQuery


def settings_of(data):
    return load_settings(
        environment={},
        data=data,
        overrides=["dicom.port=0", "storage.reserve_bytes=0", "storage.journal_bytes=1048576"],
    )


def test_durable_but_not_indexed_is_adopted_at_the_next_start(room, make_instance, wait):
    room.queue._add = lambda batch: (_ for _ in ()).throw(ValueError("killed before the commit"))
    stored = room.accept(make_instance())
    room.settle()
    assert room.reader.counts()["instances"] == 0
    room.store.close()
    receiver = Receiver(settings_of(room.data))
    receiver.start()
    wait(lambda: room.reader.counts()["instances"] == 1)
    receiver.stop()
    (study,) = room.reader.search_studies(StudyQuery())
    assert room.reader.instances(study.study_instance_uid)[0].digest == stored.digest
    assert list((room.data / "incoming").iterdir()) == []
    room.store = InstanceStore(room.data)


def test_a_torn_file_is_never_adopted(tmp_path):
    store = InstanceStore(tmp_path)
    (tmp_path / "incoming" / "torn").write_bytes(b"half")
    assert adopt_pending(store) == []
    assert list((tmp_path / "incoming").iterdir()) == []
    store.close()


def test_the_index_is_rebuilt_from_the_files_alone(room, make_instance):
    first = make_instance(1)
    room.accept(first)
    first.PatientName = "SECOND^VERSION"
    room.accept(first)
    room.accept(make_instance(2))
    room.settle()
    before = [room.reader.instances(s.study_instance_uid) for s in studies(room.reader)]
    room.reader.close()
    room.store.close()
    seen = []
    assert reindex(settings_of(room.data), lambda done, total: seen.append((done, total))) == 3
    assert seen[-1] == (3, 3)
    after = [room.reader.instances(s.study_instance_uid) for s in studies(room.reader)]
    assert [[strip(i) for i in s] for s in after] == [[strip(i) for i in s] for s in before]
    room.store = InstanceStore(room.data)


def studies(reader):
    return sorted(reader.search_studies(StudyQuery()), key=lambda study: study.study_instance_uid)


def strip(record):
    return {name: getattr(record, name) for name in record.__slots__ if name != "instance_id"}


def test_a_damaged_index_is_set_aside_and_rebuilt_while_receiving(room, make_instance, wait):
    room.accept(make_instance())
    room.settle()
    room.reader.close()
    room.index.close()
    room.store.close()
    for suffix in ("-wal", "-shm"):
        (room.data / (FILE + suffix)).unlink(missing_ok=True)
    (room.data / FILE).write_bytes(b"not a database at all" * 500)
    receiver = Receiver(settings_of(room.data))
    receiver.start()
    fresh = IndexReader(room.data / FILE)
    wait(lambda: fresh.counts()["instances"] == 1)
    fresh.close()
    receiver.stop()
    assert list(room.data.glob("index.sqlite.damaged-*"))
    room.store = InstanceStore(room.data)
    room.index = open_index(room.data / FILE)


def stop_without_index(room):
    """End the receiving half and lose its index."""
    room.settle()
    room.reader.close()
    room.index.close()
    room.store.close()
    for path in room.data.glob(FILE + "*"):
        path.unlink()


def test_a_deleted_index_is_rebuilt(room, make_instance, wait):
    room.accept(make_instance())
    stop_without_index(room)
    receiver = Receiver(settings_of(room.data))
    receiver.start()
    fresh = IndexReader(room.data / FILE)
    wait(lambda: fresh.counts()["instances"] == 1)
    fresh.close()
    receiver.stop()
    shutil.rmtree(room.data / "incoming")
    room.store = InstanceStore(room.data)
    room.index = open_index(room.data / FILE)


def test_an_interrupted_rebuild_is_taken_up_again(room, make_instance, wait):
    for number in range(6):
        room.accept(make_instance(number + 1))
    stop_without_index(room)
    # as if ended in the middle: a new index that holds one of the six
    half = open_index(room.data / FILE)
    store = InstanceStore(room.data)
    half.add([next(iter(scan_store(store)))])
    assert not half.is_complete()
    half.close()
    store.close()
    receiver = Receiver(settings_of(room.data))
    receiver.start()
    fresh = IndexReader(room.data / FILE)
    wait(lambda: fresh.counts()["instances"] == 6)
    wait(receiver.index.is_complete)
    fresh.close()
    receiver.stop()
    room.store = InstanceStore(room.data)
    room.index = open_index(room.data / FILE)


def test_a_damaged_page_is_noticed_at_the_start(room, make_instance):
    for number in range(40):
        room.accept(make_instance(number + 1))
    room.settle()
    room.reader.close()
    room.index.close()
    path = room.data / FILE
    content = path.read_bytes()
    path.write_bytes(content[: 4 * 4096] + b"\xa5" * (len(content) - 4 * 4096))
    room.index = open_index(path)
    assert list(room.data.glob("index.sqlite.damaged-*"))
    assert room.reader.counts()["instances"] == 0


def test_an_index_that_fails_during_a_rebuild_never_keeps_the_process_from_ending(
    room, make_instance, monkeypatch
):
    room.accept(make_instance())
    stop_without_index(room)
    receiver = Receiver(settings_of(room.data))
    ended = threading.Event()
    monkeypatch.setattr(os, "kill", lambda pid, number: ended.set())

    def fail(batch):
        raise sqlalchemy.exc.DatabaseError("insert", {}, Exception("malformed"))

    receiver._index_queue._add = fail
    receiver.start()
    assert ended.wait(10)
    assert receiver.has_failed
    stopper = threading.Thread(target=receiver.stop)
    stopper.start()
    stopper.join(15)
    assert not stopper.is_alive()
    room.store = InstanceStore(room.data)
    room.index = open_index(room.data / FILE)
    assert not room.index.is_complete()
