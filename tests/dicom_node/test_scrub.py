"""Damage on the disk is noticed, remembered, and never shown without saying so."""

import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from dicom_node.index import FILE as INDEX_FILE
from dicom_node.index import IndexReader
from dicom_node.receiver import Receiver, reindex
from dicom_node.scrub import FILE, Scrub, find_damaged, is_sound, read_state
from dicom_node.setting_tables import ScrubSettings
from dicom_node.settings import load_settings
from dicom_node.storage import InstanceStore
from dicom_node.stored_file import read_file_head
from dicom_node.study_query import StudyQuery

REPOSITORY = Path(__file__).resolve().parents[2]
FAST = ScrubSettings(bytes_per_s=10**12)


@pytest.fixture
def scrub(room):
    scrub = Scrub(room.data, room.index, FAST)
    yield scrub
    scrub.stop()


@pytest.fixture
def stored(room, make_instance):
    """Store instances and return their files in the order of the scrub."""

    def store(count: int):
        paths = sorted(room.accept(make_instance(number)).path for number in range(1, count + 1))
        room.settle()
        return [room.data / path for path in paths]

    return store


def flip(path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, cwd=REPOSITORY
    )


def whole_pass(scrub: Scrub) -> None:
    while scrub.step():
        pass


def damaged(room) -> set:
    return {room.data / path for path in room.reader.damaged_paths()}


def test_one_pass_finds_every_flipped_byte(room, scrub, stored):
    paths = stored(40)
    rng = random.Random(20)
    chosen = rng.sample(paths, 20)
    for path in chosen:
        start = read_file_head(path).dataset_offset
        flip(path, rng.randrange(start, path.stat().st_size))
    whole_pass(scrub)
    print(f"{len(damaged(room))} of {len(chosen)} damaged files found, of {len(paths)}")
    assert damaged(room) == set(chosen)
    assert room.reader.counts()["damaged"] == 20
    studies = room.reader.search_studies(StudyQuery())
    assert sum(study.number_of_damaged_instances for study in studies) == 20
    for study in studies:
        for instance in room.reader.instances(study.study_instance_uid):
            assert bool(instance.damaged_at) == (instance.path in chosen)


def test_a_damaged_head_a_cut_and_a_vanished_file_are_found_too(room, scrub, stored):
    identity, cut, gone, digest, sound = stored(5)
    flip(identity, identity.read_bytes().index(b"1.2.840.10008.5.1.4.1.1.2") + 3)
    cut.write_bytes(cut.read_bytes()[:-1])
    gone.unlink()
    flip(digest, digest.read_bytes().index(read_file_head(digest).digest.encode()))
    whole_pass(scrub)
    # the digest in the file is only the index's second source
    assert damaged(room) == {identity, cut, gone}
    assert is_sound(next(r for r in room.reader.stored_after("", 9) if r.path == sound))


def test_a_file_that_was_put_right_loses_its_mark(room, scrub, stored):
    (path,) = stored(1)
    flip(path, path.stat().st_size - 1)
    whole_pass(scrub)
    assert damaged(room) == {path}
    flip(path, path.stat().st_size - 1)
    whole_pass(scrub)
    assert damaged(room) == set()
    assert room.reader.counts()["damaged"] == 0


def test_a_pass_is_taken_up_where_it_was_left(room, stored, monkeypatch):
    monkeypatch.setattr("dicom_node.scrub.BATCH_SIZE", 2)
    paths = stored(5)
    first = Scrub(room.data, room.index, FAST)
    assert first.step()
    first.stop()
    assert room.data / read_state(room.data).position == paths[1]
    flip(paths[0], -1)
    flip(paths[4], -1)
    second = Scrub(room.data, room.index, FAST)
    whole_pass(second)
    assert damaged(room) == {paths[4]}  # the first one was passed before
    whole_pass(second)
    assert damaged(room) == {paths[0], paths[4]}
    assert read_state(room.data).last_pass_at
    second.stop()


@pytest.mark.parametrize("content", [b"", b"not json", b'{"unknown": 1}', b"[]"])
def test_a_lost_note_means_from_the_start(room, stored, content):
    (path,) = stored(1)
    (room.data / FILE).write_bytes(content)
    flip(path, -1)
    scrub = Scrub(room.data, room.index, FAST)
    whole_pass(scrub)
    scrub.stop()
    assert damaged(room) == {path}


def test_a_rebuilt_index_still_knows_what_is_damaged(room, scrub, stored):
    path, _ = stored(2)
    flip(path, -1)
    whole_pass(scrub)
    room.reader.close()
    room.store.close()
    settings = load_settings(environment={}, data=room.data, overrides=["storage.reserve_bytes=0"])
    reindex(settings, lambda done, total: None)
    assert damaged(room) == set()
    fresh = Scrub(room.data, type(room.index)(room.data / INDEX_FILE), FAST)
    fresh.restore()
    assert damaged(room) == {path}
    fresh._index.close()
    fresh.stop()
    room.store = InstanceStore(room.data)


def test_it_is_slow_on_purpose(room, stored):
    stored(3)
    scrub = Scrub(room.data, room.index, ScrubSettings(bytes_per_s=10_000))
    waits = []
    scrub._stopping.wait = lambda seconds: waits.append(seconds)
    whole_pass(scrub)
    size = sum(r.size_bytes for r in room.reader.stored_after("", 9))
    print(f"{size} bytes would take {sum(waits):.2f} s at 10,000 bytes/s")
    assert sum(waits) == pytest.approx(size / 10_000, rel=0.15)
    assert 10**12 / ScrubSettings().bytes_per_s <= 7 * 86_400
    scrub.stop()


def test_it_pauses_while_instances_arrive_but_not_for_ever(room, stored, monkeypatch):
    stored(2)
    now, newest = [0.0], [0]
    scrub = Scrub(room.data, room.index, FAST, monotonic=lambda: now[0])

    def arriving() -> int:
        newest[0] += now[0] < 2000
        return newest[0]

    def wait(seconds: float) -> bool:
        now[0] += seconds
        return False

    scrub._reader.newest_instance_id = arriving
    scrub._stopping.wait = wait
    scrub._wait_for_quiet()
    assert now[0] == 0  # nothing is known to have arrived before the first look
    scrub._wait_for_quiet()
    assert now[0] == 600
    now[0] = 2001
    newest[0] += 1
    scrub._wait_for_quiet()
    assert 2005 <= now[0] <= 2008
    scrub.stop()


def test_the_receiving_process_scrubs_and_an_index_of_another_version_is_built_anew(
    room, stored, wait
):
    paths = stored(3)
    flip(paths[1], -1)
    room.reader.close()
    room.index.close()
    room.store.close()
    database = sqlite3.connect(room.data / INDEX_FILE)
    with database:
        database.execute("UPDATE about SET value = '1' WHERE key = 'schema'")
        database.execute("ALTER TABLE instances RENAME COLUMN damaged_at TO something_else")
    database.close()
    settings = load_settings(
        environment={},
        data=room.data,
        overrides=[
            "dicom.port=0",
            "storage.reserve_bytes=0",
            "storage.journal_bytes=1048576",
            "scrub.bytes_per_s=1000000000",
            "inbox.enabled=false",
        ],
    )
    receiver = Receiver(settings)
    receiver.start()
    reader = IndexReader(room.data / INDEX_FILE)
    wait(lambda: reader.damaged_paths(), what="the damaged file is marked")
    receiver.stop()
    assert reader.counts()["instances"] == 3
    assert {room.data / path for path in reader.damaged_paths()} == {paths[1]}
    assert list(room.data.glob("index.sqlite.damaged-*"))
    reader.close()
    room.store = InstanceStore(room.data)


def test_the_command_reports_and_changes_nothing(room, stored, tmp_path):
    paths = stored(4)
    assert list(find_damaged(room.data, lambda done, total: None)) == []
    flip(paths[2], -1)
    command = [sys.executable, "-m", "lifeboat", "scrub", f"--data={room.data}"]
    done = run(command)
    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines() == [f"damaged: {paths[2]}", "1 damaged files"]
    assert damaged(room) == set()
    assert not (room.data / FILE).exists()
    flip(paths[2], -1)
    done = run(command)
    assert (done.returncode, done.stdout) == (0, "every stored file is sound\n")
