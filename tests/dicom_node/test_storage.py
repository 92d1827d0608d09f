import errno
import hashlib
import os
import threading
import zlib
from pathlib import Path

import pytest

from dicom_node import storage
from dicom_node.errors import StorageFailed, StorageFull, StoreInUse, UnsafeUid
from dicom_node.incoming import Incoming
from dicom_node.part10 import build_head
from dicom_node.storage import InstanceStore
from dicom_node.stored_file import is_intact, read_file_head

UIDS = {
    "study_instance_uid": "1.2.3",
    "series_instance_uid": "1.2.3.4",
    "sop_instance_uid": "1.2.3.4.5",
}
NAME = Path("instances/1.2.3/1.2.3.4/1.2.3.4.5.dcm")


def head() -> bytes:
    return build_head(
        "1.2", "1.2.3.4.5", "1.2.840.10008.1.2.1", source_ae_title="", received_at="t"
    )


@pytest.fixture
def store(tmp_path):
    store = InstanceStore(tmp_path)
    yield store
    store.close()


def test_the_data_set_lies_on_disk_as_received(store):
    data = os.urandom(100_000)
    stored = store.store(head(), [data[:7], data[7:]], **UIDS)
    content = (store.data / stored.path).read_bytes()
    found = read_file_head(store.data / stored.path)
    assert content[found.dataset_offset :] == data
    assert stored.digest == found.digest == hashlib.sha256(data).hexdigest()
    assert found.checksum == f"{zlib.crc32(data):08x}"
    assert stored.path == str(NAME)
    assert stored.size_bytes == len(content)


def test_same_bytes_are_kept_once(store):
    first = store.store(head(), [b"same"], **UIDS)
    again = store.store(head(), [b"same"], **UIDS)
    assert (first.is_new, again.is_new) == (True, False)
    assert again.path == first.path
    assert list(store.walk()) == [str(NAME)]


def test_other_bytes_under_the_same_uid_are_both_kept(store):
    versions = [store.store(head(), [data], **UIDS) for data in (b"one", b"two", b"three", b"two")]
    assert [item.version for item in versions] == [1, 2, 3, 2]
    assert [item.is_new for item in versions] == [True, True, True, False]
    contents = {(store.data / item.path).read_bytes()[-3:] for item in versions}
    assert contents == {b"one", b"two", b"ree"}


def test_parallel_stores_of_one_uid_never_overwrite(store):
    contents = [f"content {number % 4}".encode() for number in range(32)]
    results = []

    def work(content: bytes) -> None:
        results.append((content, store.store(head(), [content], **UIDS)))

    threads = [threading.Thread(target=work, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 32
    for content, stored in results:
        assert (store.data / stored.path).read_bytes().endswith(content)
    assert len(list(store.walk())) == 4


@pytest.mark.parametrize("uid", ["../../x", "", "/etc/passwd", "1" * 65])
def test_an_unsafe_uid_never_becomes_a_path(store, uid):
    for keyword in UIDS:
        with pytest.raises(UnsafeUid):
            store.store(head(), [b"x"], **{**UIDS, keyword: uid})
    assert list(store.walk()) == []
    assert list((store.data / "incoming").iterdir()) == []


def test_what_was_not_indexed_is_found_at_the_next_start(tmp_path):
    store = InstanceStore(tmp_path)
    stored = store.store(head(), [b"durable"], **UIDS)
    (tmp_path / "incoming" / "torn").write_bytes(b"never acknowledged")
    store.close()
    again = InstanceStore(tmp_path)
    assert again.sweep() == [stored.pending]
    again.forget([stored.pending])
    assert again.sweep() == []
    assert list((tmp_path / "incoming").iterdir()) == []
    assert (tmp_path / stored.path).exists()
    again.close()


def test_the_reserve_is_never_used_up(tmp_path):
    store = InstanceStore(tmp_path, reserve_bytes=1 << 60)
    with pytest.raises(StorageFull):
        store.store(head(), [b"x"], **UIDS)
    assert list(store.walk()) == []
    store.close()


def test_a_failing_source_leaves_nothing_behind(store):
    def chunks():
        yield b"begun"
        raise OSError(errno.EIO, "gone")

    with pytest.raises(StorageFailed):
        store.store(head(), chunks(), **UIDS)
    assert list((store.data / "incoming").iterdir()) == []
    assert list(store.walk()) == []


def test_only_one_process_writes_a_data_folder(store):
    with pytest.raises(StoreInUse, match="stop it first"):
        InstanceStore(store.data)


def test_a_folder_that_cannot_be_written_is_said_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailed) as caught:
        InstanceStore(tmp_path / "file" / "data")
    assert "\n" not in str(caught.value)


def test_a_failed_folder_sync_keeps_the_name_for_the_next_start(store, monkeypatch):
    failures = [OSError(errno.EMFILE, "too many open files")]
    real = storage.sync_folder

    def fail_once(folder: Path) -> None:
        if failures:
            raise failures.pop()
        real(folder)

    monkeypatch.setattr(storage, "sync_folder", fail_once)
    with pytest.raises(StorageFull):
        store.store(head(), [b"data"], **UIDS)
    assert len(list((store.data / "incoming").iterdir())) == 1
    again = store.store(head(), [b"data"], **UIDS)
    assert not again.is_new
    assert len(store.sweep()) == 1


def test_after_an_io_error_nothing_is_acknowledged_in_that_folder(store, monkeypatch):
    def fail(folder: Path) -> None:
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(storage, "sync_folder", fail)
    with pytest.raises(StorageFailed):
        store.store(head(), [b"data"], **UIDS)
    monkeypatch.undo()
    with pytest.raises(StorageFailed):
        store.store(head(), [b"data"], **UIDS)
    elsewhere = {**UIDS, "series_instance_uid": "1.9"}
    assert store.store(head(), [b"data"], **elsewhere).is_new


@pytest.mark.parametrize("damage", [lambda data: data[:-40], lambda data: b""])
def test_a_damaged_file_never_swallows_a_good_copy(store, damage):
    first = store.store(head(), [b"x" * 1000], **UIDS)
    path = store.data / first.path
    path.write_bytes(damage(path.read_bytes()))
    again = store.store(head(), [b"x" * 1000], **UIDS)
    assert (again.is_new, again.version) == (True, 2)
    assert (store.data / again.path).read_bytes().endswith(b"x" * 1000)


def test_a_stored_file_is_checked_against_its_own_digest(store):
    stored = store.store(head(), [b"x" * 1000], **UIDS)
    path = store.data / stored.path
    assert is_intact(path, stored.digest)
    path.write_bytes(path.read_bytes()[:-1] + b"y")
    assert not is_intact(path, stored.digest)
    assert not is_intact(path.with_name("absent"), stored.digest)


def test_a_file_that_cannot_be_begun_leaves_nothing_open(tmp_path, monkeypatch):
    def refuse(incoming, data):
        raise OSError(errno.EDQUOT, "disk quota exceeded")

    store = InstanceStore(tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(Incoming, "_write_all", refuse)
    for _ in range(5):
        with pytest.raises(StorageFull):
            store.begin(b"head" * 100)
    assert len(os.listdir("/proc/self/fd")) == before
    assert list((tmp_path / "incoming").iterdir()) == []
    store.close()


def test_nothing_is_settled_in_a_folder_whose_sync_failed(tmp_path):
    store = InstanceStore(tmp_path)
    store._failed_folders.add("instances/1/2")
    (tmp_path / "instances" / "1" / "2").mkdir(parents=True)
    (tmp_path / "instances" / "1" / "2" / "3.dcm").write_bytes(b"x")
    with pytest.raises(StorageFailed):
        store.settle(["instances/1/2/3.dcm"])
    store.close()
