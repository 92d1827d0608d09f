"""Whatever a codestream makes its decoder do, it costs that frame and nothing else."""

import mmap
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import uid

from viewer.codecs import CODECS, codec_for, decode_frame
from viewer.decode import open_instance
from viewer.decode_pool import DecodePool
from viewer.errors import DecoderBusy, UnsafePixels, UnsupportedPixels
from viewer.pixel_format import PixelFormat
from viewer.sandbox import RETAINED_BYTES, DecodeLimits, DecodeWorker, WorkerLost

REPOSITORY = Path(__file__).resolve().parents[2]
HOSTILE = (
    sys.executable,
    "-c",
    f"import sys, runpy; sys.path.insert(0, {str(REPOSITORY)!r});"
    f"runpy.run_path({str(Path(__file__).with_name('hostile_worker.py'))!r}, run_name='__main__')",
)
TINY = PixelFormat(4, 4, 1, 8, 8, 7, False, "MONOCHROME2", 0)
GREY = PixelFormat(37, 51, 1, 16, 12, 11, False, "MONOCHROME2", 0)
LIMITS = DecodeLimits(timeout_s=5.0, memory_bytes=2**28)
IMPATIENT = DecodeLimits(timeout_s=1.0, memory_bytes=2**28)

Pools = Callable[..., DecodePool]


@pytest.fixture(scope="module")
def hostile() -> Iterator[Pools]:
    """Make pools of hostile workers; all are closed in the end."""
    made: list[DecodePool] = []

    def make(workers: int = 1, limits: DecodeLimits = LIMITS, **options: Any) -> DecodePool:
        made.append(DecodePool(workers, limits, **{"command": HOSTILE, **options}))
        return made[-1]

    yield make
    for pool in made:
        pool.close()


@pytest.fixture(scope="module")
def pool(hostile: Pools) -> DecodePool:
    """Two hostile workers, shared by the tests of this file."""
    return hostile(2)


@pytest.fixture(scope="module")
def impatient(hostile: Pools) -> DecodePool:
    """Two hostile workers that get little time."""
    return hostile(2, IMPATIENT)


@pytest.fixture
def new_pool(hostile: Pools) -> Iterator[Pools]:
    """Make pools for one test."""
    made: list[DecodePool] = []

    def make(*args: Any, **options: Any) -> DecodePool:
        made.append(hostile(*args, **options))
        return made[-1]

    yield make
    for pool in made:
        pool.close()


@pytest.fixture(scope="module")
def worker() -> Iterator[DecodeWorker]:
    """A worker of the product."""
    worker = DecodeWorker(LIMITS)
    worker.wait_until_ready()
    yield worker
    worker.end()


def ask(pool: DecodePool, deed: str) -> NDArray[Any]:
    return pool.decode("1.2.3", deed.encode(), TINY)


def is_sound(pool: DecodePool, number: int = 7) -> bool:
    return bool(np.all(ask(pool, f"draw#{number}") == number))


def test_every_lossless_codec_gives_the_same_samples_in_the_cage(
    worker: DecodeWorker, picture: Callable[..., Any], encoders: dict[str, Any]
) -> None:
    pixels = picture(np.uint16, 0, 3000)
    for transfer_syntax_uid, encode in encoders.items():
        encoded = encode(pixels)
        described = codec_for(transfer_syntax_uid).describe(encoded, GREY)
        np.testing.assert_array_equal(
            worker.decode(transfer_syntax_uid, encoded, described), pixels
        )


def test_real_files_give_the_same_samples_in_the_cage(
    worker: DecodeWorker, testdata: Callable[[str], Path]
) -> None:
    for name in ("SC_rgb_jpeg_dcmtk.dcm", "JPEG2000.dcm", "JPEG-lossy.dcm", "SC_rgb_rle.dcm"):
        caged = open_instance(testdata(name), worker.decode)
        np.testing.assert_array_equal(
            caged.stored_frame(1), open_instance(testdata(name)).stored_frame(1)
        )


@pytest.mark.parametrize("transfer_syntax_uid", sorted(CODECS))
def test_noise_is_refused_in_the_same_words_and_costs_no_worker(
    worker: DecodeWorker, transfer_syntax_uid: str
) -> None:
    noise = np.random.default_rng(1).bytes(500)
    with pytest.raises(UnsupportedPixels) as here:
        decode_frame(transfer_syntax_uid, noise, TINY)
    with pytest.raises(UnsupportedPixels) as caged:
        worker.decode(transfer_syntax_uid, noise, TINY)
    assert str(caged.value) == str(here.value)


def test_samples_stay_when_the_next_frame_is_decoded(
    worker: DecodeWorker, picture: Callable[..., Any], encoders: dict[str, Any]
) -> None:
    pixels = picture(np.uint16, 0, 3000)
    first = worker.decode(uid.RLELossless, encoders[uid.RLELossless](pixels), GREY)
    worker.decode(uid.RLELossless, encoders[uid.RLELossless](pixels[::-1].copy()), GREY)
    np.testing.assert_array_equal(first, pixels)


@pytest.mark.parametrize(
    "deed",
    [
        "file",
        "new file",
        "socket",
        "fork",
        "program",
        "kill parent",
        "limit parent",
        "raise limit",
    ],
)
def test_the_cage_allows_no_deed(pool: DecodePool, deed: str) -> None:
    with pytest.raises(UnsupportedPixels, match="contradict"):
        ask(pool, deed)
    assert is_sound(pool)


@pytest.mark.parametrize("deed", ["loop", "nonsense", "half an answer"])
def test_a_decoder_that_hangs_is_killed_in_time(impatient: DecodePool, deed: str) -> None:
    pool = impatient
    assert is_sound(pool)
    start = time.monotonic()
    with pytest.raises(UnsafePixels, match="stored safely"):
        ask(pool, deed)
    assert time.monotonic() - start < 10
    assert is_sound(pool)


@pytest.mark.parametrize("deed", ["crash", "other type"])
def test_a_decoder_that_dies_or_lies_costs_one_frame(pool: DecodePool, deed: str) -> None:
    with pytest.raises(UnsafePixels):
        ask(pool, deed)
    assert is_sound(pool)


def test_a_memory_bomb_is_refused_and_costs_no_worker(new_pool: Pools) -> None:
    pool = new_pool()
    is_sound(pool)
    before = pool.process_ids()
    with pytest.raises(UnsafePixels):
        ask(pool, "allocate#8192")
    assert pool.process_ids() == before


def test_a_small_frame_may_take_little_memory(pool: DecodePool) -> None:
    ask(pool, "allocate#32")
    with pytest.raises(UnsafePixels):
        ask(pool, "allocate#100")


def test_a_frame_whose_worker_was_killed_in_mid_job_gets_another(new_pool: Pools) -> None:
    pool = new_pool(2)
    is_sound(pool)
    while len(pool.process_ids()) < 2:
        time.sleep(0.01)
    before = set(pool.process_ids())
    with ThreadPoolExecutor(2) as threads:
        doomed = threads.submit(ask, pool, "pause#1")
        while len(pool.process_ids()) > 1:
            time.sleep(0.01)
        [victim] = before - set(pool.process_ids())
        os.kill(victim, signal.SIGKILL)
        assert is_sound(pool)
        np.testing.assert_array_equal(doomed.result(30), np.full((4, 4), 1))


def test_a_worker_that_died_while_idle_costs_nothing(new_pool: Pools) -> None:
    pool = new_pool()
    is_sound(pool)
    [idle] = pool.process_ids()
    os.kill(idle, signal.SIGKILL)
    os.waitid(os.P_PID, idle, os.WEXITED | os.WNOWAIT)
    assert is_sound(pool)


def test_a_frame_that_killed_a_worker_is_not_tried_again_at_once(new_pool: Pools) -> None:
    now = [0.0]
    pool = new_pool(now=lambda: now[0])
    with pytest.raises(UnsafePixels):
        ask(pool, "other shape")
    is_sound(pool)
    before = pool.process_ids()
    with pytest.raises(UnsafePixels):
        ask(pool, "other shape")
    assert pool.process_ids() == before
    now[0] += 3600
    with pytest.raises(UnsafePixels):
        ask(pool, "other shape")
    is_sound(pool)
    assert pool.process_ids() != before


def test_neighbours_of_hanging_frames_are_drawn(impatient: DecodePool) -> None:
    pool = impatient
    with ThreadPoolExecutor(8) as threads:
        hanging = [threads.submit(ask, pool, f"sleep#{n}") for n in range(2)]
        sound = [threads.submit(is_sound, pool, n) for n in range(20)]
        assert all(future.result(60) for future in sound)
        for future in hanging:
            with pytest.raises(UnsafePixels):
                future.result(60)


def test_many_threads_get_each_their_own_frame(pool: DecodePool) -> None:
    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(lambda n: is_sound(pool, n), range(256)))


def test_a_worker_is_replaced_after_its_uses(new_pool: Pools) -> None:
    pool = new_pool(uses=2)
    assert is_sound(pool)
    [first] = pool.process_ids()
    assert is_sound(pool)
    assert is_sound(pool)
    assert first not in pool.process_ids()


def test_a_frame_that_is_too_large_is_refused_before_any_process_is_started(
    new_pool: Pools,
) -> None:
    pool = new_pool()
    vast = PixelFormat(65500, 4000, 1, 16, 16, 15, False, "MONOCHROME2", 0)
    with pytest.raises(UnsupportedPixels, match="too large"):
        pool.decode("1.2.3", b"draw", vast)
    assert pool.process_ids() == []


def test_a_decoder_for_working_ahead_leaves_one_for_who_waits(
    pool: DecodePool, new_pool: Pools
) -> None:
    with pool.idle_decoder(30) as first, pool.idle_decoder(0.05) as second:
        assert first is not None
        assert second is None
        assert is_sound(pool)
    with new_pool(1).idle_decoder(0.05) as alone:
        assert alone is None


def test_a_closed_pool_leaves_no_process_and_says_so(new_pool: Pools) -> None:
    pool = new_pool(2)
    is_sound(pool)
    running = pool.process_ids()
    pool.close()
    assert not any(Path(f"/proc/{number}").exists() for number in running)
    with pytest.raises(DecoderBusy):
        is_sound(pool)


def test_workers_that_cannot_start_are_an_error_in_words(
    new_pool: Pools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("viewer.decode_pool.QUEUE_TIMEOUT_S", 0.3)
    with pytest.raises(DecoderBusy, match="Try again"):
        is_sound(new_pool(command=(*HOSTILE, "never ready")))
    with pytest.raises(DecoderBusy, match="Try again"):
        is_sound(new_pool(command=("/no/such/program",)))


def test_large_frames_do_not_stay_in_memory() -> None:
    worker = DecodeWorker(DecodeLimits(timeout_s=60, memory_bytes=2**29))
    try:
        worker.wait_until_ready()
        rows = RETAINED_BYTES * 2 // 4096
        described = PixelFormat(rows, 4096, 1, 8, 8, 7, False, "MONOCHROME2", 0)
        pixels = np.zeros((rows, 4096), np.uint8)
        encoded = bytes(imagecodecs.jpegls_encode(pixels))
        assert worker.decode(uid.JPEGLSLossless, encoded, described).shape == pixels.shape
        taken = Path(f"/proc/{worker.process_id}/smaps").read_text().split("memfd:decode")[1]
        [resident] = [line for line in taken.splitlines() if line.startswith("Rss:")][:1]
        assert int(resident.split()[1]) * 1024 <= RETAINED_BYTES
    finally:
        worker.end()


def test_a_worker_cannot_make_the_shared_memory_shorter() -> None:
    from viewer.sandbox import _shared_file

    descriptor = _shared_file(mmap.PAGESIZE * 4)
    try:
        for size in (0, mmap.PAGESIZE * 8):
            with pytest.raises(PermissionError):
                os.ftruncate(descriptor, size)
    finally:
        os.close(descriptor)


def test_an_ended_worker_answers_no_more() -> None:
    worker = DecodeWorker(LIMITS)
    worker.wait_until_ready()
    os.kill(worker.process_id, signal.SIGKILL)
    with pytest.raises(WorkerLost):
        worker.decode(uid.RLELossless, b"\0" * 64, GREY)
    assert worker.end() == -signal.SIGKILL
