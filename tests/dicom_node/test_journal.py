"""What the journal took is found again, whole, until it is released; nothing else ever is."""

import errno
import os
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom_node import journal as journal_module
from dicom_node.journal import BLOCK_BYTES, Journal, JournalUnavailable

SIZE = 1 << 20


def open_journal(path, size=SIZE):
    journal = Journal(path, size, sync_writes=False)
    left = journal.open()
    if not left:
        journal.prepare()
    return journal, left


def contents(journal, records):
    return [bytes(journal.read(record, bytearray())) for record in records]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal"


def test_what_is_not_released_is_found_again(path):
    journal, _ = open_journal(path)
    first, second, third = (journal.append((b"head", bytes([n]) * 5000)) for n in range(3))
    journal.release([second])
    journal.release([first])
    journal.remember_released()
    journal.close()
    again, left = open_journal(path)
    assert contents(again, left) == [b"head" + bytes([2]) * 5000]
    assert left == [third]
    again.close()


def test_a_released_record_in_front_of_an_unreleased_one_is_found_once_more(path):
    journal, _ = open_journal(path)
    journal.append((b"first",))
    journal.release([journal.append((b"second",))])
    journal.remember_released()
    journal.close()
    again, left = open_journal(path)
    assert contents(again, left) == [b"first", b"second"]
    again.close()


def test_a_torn_record_is_not_found_and_hides_none_behind_it(path):
    journal, _ = open_journal(path)
    torn = journal.append((b"x" * 20_000,))
    journal.append((b"whole",))
    journal.close()
    with path.open("r+b") as file:
        file.seek(torn.offset + 2 * BLOCK_BYTES)
        file.write(b"y")
    again, left = open_journal(path)
    assert contents(again, left) == [b"whole"]
    again.close()


def test_a_record_inside_a_data_set_is_not_believed(path):
    journal, _ = open_journal(path)
    journal.append((b"inner",))
    journal.close()
    inner = path.read_bytes()[2 * BLOCK_BYTES : 3 * BLOCK_BYTES]
    other = path.with_name("other")
    journal, _ = open_journal(other)
    # so that it begins at a block
    head = journal_module._HEADER_BYTES
    journal.append((bytes(BLOCK_BYTES - head) + inner,))
    journal.close()
    with other.open("r+b") as file:  # the outer one is torn: its inside is looked at
        file.seek(2 * BLOCK_BYTES + 100)
        file.write(b"?")
    again, left = open_journal(other)
    assert left == []
    again.close()


def test_a_full_journal_says_so_and_overwrites_nothing(path):
    journal, _ = open_journal(path)
    records = [journal.append((os.urandom(100_000),)) for _ in range(10)]
    with pytest.raises(JournalUnavailable):
        journal.append((os.urandom(100_000),))
    before = contents(journal, records)
    journal.release(records[:3])
    more = [journal.append((os.urandom(100_000),)) for _ in range(2)]
    assert contents(journal, records[3:]) == before[3:]
    assert len(contents(journal, more)) == 2
    journal.close()


def test_what_is_too_large_for_it_goes_elsewhere(path):
    journal, _ = open_journal(path)
    with pytest.raises(JournalUnavailable):
        journal.append((bytes(journal.largest_record_bytes + 1),))
    journal.close()


def test_without_a_journal_everything_goes_elsewhere(path):
    journal, left = open_journal(path, 0)
    with pytest.raises(JournalUnavailable):
        journal.append((b"x",))
    assert left == []
    assert not path.exists()
    journal.close()


def test_another_size_makes_another_journal(path):
    journal, _ = open_journal(path)
    journal.release([journal.append((b"x",))])
    journal.remember_released()
    journal.close()
    journal, left = open_journal(path, 2 * SIZE)
    assert left == []
    assert path.stat().st_size == 2 * SIZE
    journal.append((b"y",))
    journal.close()
    again, left = open_journal(path, 2 * SIZE)
    assert contents(again, left) == [b"y"]
    again.close()


@pytest.mark.parametrize("damage", [b"", b"not a journal", bytes(SIZE)])
def test_a_file_that_is_no_journal_is_begun_anew(path, damage):
    path.write_bytes(damage)
    journal, left = open_journal(path)
    assert left == []
    assert contents(journal, [journal.append((b"x",))]) == [b"x"]
    journal.close()


def test_one_torn_label_costs_nothing(path):
    journal, _ = open_journal(path)
    for number in range(4):
        record = journal.append((bytes([number]),))
        if number < 3:
            journal.release([record])
            journal.remember_released()
    journal.close()
    with path.open("r+b") as file:
        file.seek(BLOCK_BYTES * (3 % 2) + 20)
        file.write(b"torn")
    again, left = open_journal(path)
    assert contents(again, left)[-1] == b"\x03"
    again.close()


def test_after_an_error_of_the_disk_it_takes_nothing_more(path, monkeypatch):
    journal = Journal(path, SIZE)
    journal.prepare()

    def fail(fd):
        raise OSError(errno.EIO, "input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", fail)
        with pytest.raises(OSError, match="input/output error"):
            journal.append((b"x",))
    with pytest.raises(JournalUnavailable):
        journal.append((b"y",))
    journal.close()


def test_one_sync_serves_everyone_who_waits(path, monkeypatch):
    journal = Journal(path, SIZE)
    journal.prepare()
    real, syncs, may_sync = os.fdatasync, [], threading.Event()

    def slow(fd):
        syncs.append(fd)
        assert may_sync.wait(10)
        real(fd)

    monkeypatch.setattr(os, "fdatasync", slow)
    threads = [
        threading.Thread(target=journal.append, args=((bytes([n]) * 10,),)) for n in range(20)
    ]
    for thread in threads:
        thread.start()
    while journal._commit._written < 20:
        threading.Event().wait(0.001)
    may_sync.set()
    for thread in threads:
        thread.join(10)
    assert len(syncs) == 2
    journal.close()


@settings(max_examples=60)
@given(
    steps=st.lists(
        st.one_of(
            st.integers(1, 120_000).map(lambda size: ("append", size)),
            st.integers(0, 30).map(lambda number: ("release", number)),
            st.just(("reopen", 0)),
        ),
        max_size=60,
    )
)
def test_whatever_happens_what_is_not_released_comes_back(tmp_path_factory, steps):
    path = tmp_path_factory.mktemp("ring") / "journal"
    journal, _ = open_journal(path)
    held, number = {}, 0
    for step, value in steps:
        if step == "append":
            number += 1
            content = number.to_bytes(4, "big") * (value // 4 + 1)
            try:
                held[journal.append((content[:7], content[7:])).sequence] = content
            except JournalUnavailable:
                continue
        elif step == "release" and held:
            first = list(held)[: value % len(held) + 1]
            journal.release([r for r in journal._records if r.sequence in first])
            journal.remember_released()
            for sequence in first:
                del held[sequence]
        elif step == "reopen":
            journal.close()
            journal, left = open_journal(path)
            assert contents(journal, left) == list(held.values())
    journal.close()
    path.unlink()


def test_a_journal_that_cannot_be_read_takes_nothing_and_keeps_what_it_holds(path, monkeypatch):
    journal, _ = open_journal(path)
    journal.append((b"held",))
    journal.close()
    real = os.pread

    def fail(fd, size, offset):
        if offset >= 2 * BLOCK_BYTES:
            raise OSError(errno.EIO, "input/output error")
        return real(fd, size, offset)

    again = Journal(path, SIZE, sync_writes=False)
    with monkeypatch.context() as broken:
        broken.setattr(os, "pread", fail)
        with pytest.raises(OSError, match="input/output error"):
            again.open()
    with pytest.raises(JournalUnavailable):
        again.append((b"new",))
    third, left = open_journal(path)
    assert contents(third, left) == [b"held"]
    third.close()


def test_a_record_that_cannot_be_read_now_keeps_its_place(path, monkeypatch):
    journal, _ = open_journal(path)
    journal.append((b"held",))
    journal.close()

    def fail(*arguments):
        raise OSError(errno.EIO, "input/output error")

    again = Journal(path, SIZE, sync_writes=False)
    with monkeypatch.context() as broken:
        broken.setattr(os, "preadv", fail)
        left = again.open()
    assert contents(again, left) == [b"held"]
    assert again.append((b"new",)).offset >= left[0].end
    again.close()


def test_another_size_waits_until_nothing_is_held(path):
    journal, _ = open_journal(path)
    journal.append((b"held",))
    journal.close()
    again = Journal(path, 2 * SIZE, sync_writes=False)
    left = again.open()
    again.prepare()
    assert path.stat().st_size == SIZE
    assert contents(again, left) == [b"held"]
    again.close()


def test_a_new_journal_whose_name_is_not_durable_takes_nothing(path, monkeypatch):
    journal, _ = open_journal(path)

    def fail(folder):
        raise OSError(errno.EIO, "input/output error")

    journal._size = 2 * SIZE
    monkeypatch.setattr(journal_module, "sync_folder", fail)
    with pytest.raises(OSError, match="input/output error"):
        journal.prepare()
    with pytest.raises(JournalUnavailable):
        journal.append((b"x",))
    journal.close()


@pytest.mark.parametrize("slot", [0, 1])
@pytest.mark.parametrize("releases", [0, 1, 2])
def test_either_label_may_be_torn(path, slot, releases):
    journal, _ = open_journal(path)
    for number in range(releases):
        journal.release([journal.append((bytes([number]),))])
        journal.remember_released()
    journal.append((b"held",))
    journal.close()
    with path.open("r+b") as file:
        file.seek(slot * BLOCK_BYTES)
        file.write(b"torn")
    again, left = open_journal(path)
    assert contents(again, left)[-1] == b"held"
    again.close()
