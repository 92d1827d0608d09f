"""Decoded frames on disk: bounded, shared, and never another frame's or half a frame's pixels."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from viewer.frame_store import FrameStore

REPOSITORY = Path(__file__).resolve().parents[2]
MEGABYTE = 1024**2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "frames"


@pytest.fixture
def store(folder: Path) -> FrameStore:
    return FrameStore(folder, 10 * MEGABYTE)


def frame(value: int = 5, kilobytes: int = 64) -> NDArray[Any]:
    return np.full((kilobytes, 512), value, np.uint16)


def never() -> NDArray[Any]:
    pytest.fail("decoded again")


def kept_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.frame"))


def bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "u4"])
@pytest.mark.parametrize("shape", [(3, 5), (1, 1), (3, 5, 3)])
def test_a_frame_comes_back_as_it_was(
    store: FrameStore, folder: Path, dtype: str, shape: tuple[int, ...]
) -> None:
    values = np.random.default_rng(3).integers(0, 100, shape).astype(dtype)
    store.get_or_compute("a", lambda: values)
    found = FrameStore(folder, MEGABYTE).get_or_compute("a", never)
    np.testing.assert_array_equal(found, values)
    assert found.dtype == values.dtype
    assert not found.flags.writeable


def test_colours_by_plane_come_back_by_pixel(store: FrameStore) -> None:
    planes = np.arange(60, dtype=np.uint8).reshape(3, 4, 5).transpose(1, 2, 0)
    np.testing.assert_array_equal(store.get_or_compute("a", lambda: planes), planes)
    np.testing.assert_array_equal(store.get_or_compute("a", never), planes)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(position=st.integers(0, 2000), byte=st.integers(0, 255))
def test_a_changed_byte_anywhere_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, position: int, byte: int
) -> None:
    folder = tmp_path_factory.mktemp("store") / "cache" / "frames"
    store = FrameStore(folder, MEGABYTE)
    values = np.arange(900, dtype=np.uint16).reshape(30, 30)
    store.get_or_compute("a", lambda: values)
    [path] = kept_files(folder)
    content = bytearray(path.read_bytes())
    position %= len(content)
    is_changed = content[position] != byte
    content[position] = byte
    path.write_bytes(content)
    found = store.read("a")
    assert (found is None) == is_changed
    assert path.exists() != is_changed


@pytest.mark.parametrize("length", [0, 10, 63, 64, 1000, -1])
def test_a_cut_off_file_is_thrown_away(store: FrameStore, folder: Path, length: int) -> None:
    store.get_or_compute("a", frame)
    [path] = kept_files(folder)
    path.write_bytes(path.read_bytes()[:length])
    np.testing.assert_array_equal(store.get_or_compute("a", lambda: frame(6)), frame(6))
    np.testing.assert_array_equal(store.get_or_compute("a", never), frame(6))


def test_another_frames_file_never_answers(store: FrameStore, folder: Path) -> None:
    store.get_or_compute("a", lambda: frame(1))
    [path] = kept_files(folder)
    store.get_or_compute("b", lambda: frame(2))
    [other] = [each for each in kept_files(folder) if each != path]
    path.replace(other)
    assert store.read("b") is None


def test_it_never_takes_more_than_its_bytes(store: FrameStore, folder: Path) -> None:
    for number in range(400):
        store.get_or_compute(str(number), frame)
        if number % 20 == 0:
            assert bytes_of(folder) <= 10 * MEGABYTE
    assert 8 * MEGABYTE < bytes_of(folder) <= 10 * MEGABYTE


def test_what_was_used_lately_stays(folder: Path) -> None:
    store = FrameStore(folder, 10 * MEGABYTE, now=lambda: time.time() + 1000)
    store.get_or_compute("old", frame)
    [old] = kept_files(folder)
    os.utime(old, (1, 1))
    store.get_or_compute("used", frame)
    [used] = [each for each in kept_files(folder) if each != old]
    os.utime(used, (1, 1))
    for number in range(160):
        if number == 100:
            store.get_or_compute("used", never)
        store.get_or_compute(str(number), frame)
    assert store.holds("used")
    assert not store.holds("old")


def test_files_of_others_count(folder: Path) -> None:
    first, second = FrameStore(folder, MEGABYTE), FrameStore(folder, MEGABYTE)
    for number in range(40):
        first.get_or_compute(f"a{number}", frame)
        second.get_or_compute(f"b{number}", frame)
    assert bytes_of(folder) <= MEGABYTE + 2 * MEGABYTE // 16


def test_a_frame_larger_than_half_of_it_is_not_kept(store: FrameStore, folder: Path) -> None:
    store.get_or_compute("a", lambda: frame(kilobytes=6 * 1024))
    assert kept_files(folder) == []


def test_when_the_disk_is_short_nothing_is_written_and_all_is_given_back(folder: Path) -> None:
    FrameStore(folder, MEGABYTE).get_or_compute("a", frame)
    greedy = FrameStore(folder, MEGABYTE, keep_free_bytes=2**60)
    np.testing.assert_array_equal(greedy.get_or_compute("b", frame), frame())
    assert list(folder.iterdir()) == []


def test_only_this_user_reads_it(store: FrameStore, folder: Path) -> None:
    store.get_or_compute("a", frame)
    assert [path.stat().st_mode & 0o777 for path in (folder.parent, folder)] == [0o700, 0o700]
    assert [path.stat().st_mode & 0o777 for path in kept_files(folder)] == [0o600]


def test_no_folder_to_write_to_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for parent in (tmp_path / "file", tmp_path / "missing" / "deeper"):
        store = FrameStore(parent / "cache" / "frames", MEGABYTE)
        np.testing.assert_array_equal(store.get_or_compute("a", frame), frame())
        assert not store.holds("a")


def test_zero_bytes_keep_nothing(folder: Path) -> None:
    store = FrameStore(folder, 0)
    np.testing.assert_array_equal(store.get_or_compute("a", frame), frame())
    assert not folder.exists()


def test_an_error_is_not_kept_and_leaves_no_file(store: FrameStore, folder: Path) -> None:
    def failing() -> NDArray[Any]:
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        store.get_or_compute("a", failing)
    assert list(folder.iterdir()) == []
    np.testing.assert_array_equal(store.get_or_compute("a", frame), frame())


def test_what_a_crash_left_is_swept_when_it_is_old(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in ("x.part", "x.lock", "new.part"):
        (folder / name).write_bytes(b"half")
    for name in ("x.part", "x.lock"):
        os.utime(folder / name, (1, 1))
    FrameStore(folder, MEGABYTE).get_or_compute("a", frame)
    assert [path.name for path in folder.iterdir() if path.suffix != ".frame"] == ["new.part"]


PROCESS = """
import sys, time
from pathlib import Path
import numpy as np
from viewer.frame_store import FrameStore
folder, log = Path(sys.argv[1]), Path(sys.argv[2])
def decode():
    with log.open("a") as lines:
        lines.write("decoded\\n")
    time.sleep(0.3)
    return np.full((4, 4), 9, np.uint8)
print("ready", flush=True)
sys.stdin.readline()
assert FrameStore(folder, 10**6).get_or_compute("a", decode)[0, 0] == 9
"""


@pytest.fixture
def processes(folder: Path, tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Three processes that ask for one frame as soon as they are told to."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, folder, tmp_path / "log"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        )
        for _ in range(3)
    ]
    yield started
    for process in started:
        process.kill()
        process.communicate()


def test_processes_that_ask_at_once_decode_once(
    processes: list[subprocess.Popen[str]], tmp_path: Path
) -> None:
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert (tmp_path / "log").read_text().splitlines() == ["decoded"]


def test_a_process_that_never_finishes_is_not_waited_for_for_ever(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("viewer.frame_store.LOCK_TIMEOUT_S", 0.1)
    store, other = FrameStore(folder, MEGABYTE), FrameStore(folder, MEGABYTE)
    asked: list[Callable[[], NDArray[Any]]] = [lambda: store.get_or_compute("a", frame)]
    with ThreadPoolExecutor(1) as thread:
        result = other.get_or_compute("a", lambda: thread.submit(asked[0]).result(30))
    np.testing.assert_array_equal(result, frame())
