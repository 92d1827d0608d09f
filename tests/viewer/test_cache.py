"""The cache stays within its bytes and computes each key once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from viewer.cache import ByteBoundedCache


def new_cache(max_bytes: int) -> ByteBoundedCache[str, bytes]:
    return ByteBoundedCache(max_bytes, len)


def test_a_kept_value_is_not_computed_again() -> None:
    cache = new_cache(100)
    assert cache.get_or_compute("a", lambda: b"first") == b"first"
    assert cache.get_or_compute("a", lambda: b"second") == b"first"


def test_the_least_recently_used_value_goes_first() -> None:
    cache = new_cache(10)
    for key in "ab":
        cache.get_or_compute(key, lambda: b"12345")
    cache.get_or_compute("a", lambda: b"-----")
    cache.get_or_compute("c", lambda: b"12345")
    assert cache.get_or_compute("a", lambda: b"-----") == b"12345"
    assert cache.get_or_compute("b", lambda: b"again") == b"again"


def test_a_value_larger_than_the_cache_is_handed_out_and_not_kept() -> None:
    cache = new_cache(4)
    cache.get_or_compute("a", lambda: b"1234")
    assert cache.get_or_compute("b", lambda: b"12345") == b"12345"
    assert (len(cache), cache.size_bytes) == (1, 4)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 30)), max_size=60))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_it_never_holds_more_bytes_than_allowed(asked: list[tuple[str, int]]) -> None:
    cache = new_cache(50)
    for key, size in asked:
        cache.get_or_compute(key, lambda size=size: bytes(size))  # type: ignore[misc]
        assert cache.size_bytes <= 50


def test_callers_of_one_key_share_one_computation() -> None:
    cache = new_cache(100)
    started, release = threading.Event(), threading.Event()
    calls = []

    def slow() -> bytes:
        calls.append(1)
        started.set()
        assert release.wait(10)
        return b"frame"

    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(cache.get_or_compute, "a", slow)
        assert started.wait(10)
        others = [pool.submit(cache.get_or_compute, "a", slow) for _ in range(7)]
        assert cache.get_or_compute("b", lambda: b"other") == b"other"
        release.set()
        results = [future.result(10) for future in (first, *others)]
    assert results == [b"frame"] * 8
    assert len(calls) == 1


def test_an_error_reaches_every_waiting_caller_and_is_not_kept() -> None:
    cache = new_cache(100)
    started, release = threading.Event(), threading.Event()

    def failing() -> bytes:
        started.set()
        assert release.wait(10)
        raise ValueError("no")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get_or_compute, "a", failing)
        assert started.wait(10)
        second = pool.submit(cache.get_or_compute, "a", failing)
        release.set()
        for future in (first, second):
            with pytest.raises(ValueError, match="no"):
                future.result(10)
    assert cache.get_or_compute("a", lambda: b"good") == b"good"


def test_forgetting_gives_the_bytes_back() -> None:
    cache = new_cache(100)
    cache.get_or_compute("a", lambda: b"12")
    cache.get_or_compute("b", lambda: b"345")
    cache.discard("a")
    cache.discard("never kept")
    assert cache.size_bytes == 3
    cache.clear()
    assert (len(cache), cache.size_bytes) == (0, 0)
