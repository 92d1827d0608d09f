"""Helpers stay off the processor of whom they help, and nobody stays where he was kept."""

import os
import threading
from collections.abc import Iterator

import pytest

from viewer.processors import kept_apart
from viewer.strips import StripThreads

DEADLINE_S = 30.0
ALLOWED = os.sched_getaffinity(0)
needs_two = pytest.mark.skipif(len(ALLOWED) < 2, reason="there is one processor")


@pytest.fixture
def threads() -> Iterator[StripThreads]:
    made = StripThreads(2)
    yield made
    made.close()


@needs_two
def test_a_helper_works_on_another_processor_than_whom_it_helps(threads: StripThreads) -> None:
    both = threading.Barrier(2)

    def work(_part: int) -> tuple[str, set[int]]:
        both.wait(DEADLINE_S)
        return threading.current_thread().name, os.sched_getaffinity(0)

    threads.each(work, (0, 1))  # only now is there a helper

    found = dict(threads.each(work, (0, 1)))
    mine = found.pop(threading.current_thread().name)
    ((_, helpers),) = found.items()
    assert len(mine) == 1
    assert helpers == ALLOWED - mine


@needs_two
def test_a_helper_made_while_its_maker_is_kept_may_go_elsewhere(threads: StripThreads) -> None:
    both = threading.Barrier(2)

    def work(_part: int) -> set[int]:
        both.wait(DEADLINE_S)
        return os.sched_getaffinity(0)

    with kept_apart([threading.get_native_id()]):
        assert len(os.sched_getaffinity(0)) == 1
        assert ALLOWED in threads.each(work, (0, 1))


@pytest.mark.parametrize("part", [1, 0])
def test_whoever_is_kept_goes_where_he_likes_afterwards(threads: StripThreads, part: int) -> None:
    threads.each(lambda _part: None, range(9))
    if part:
        threads.each(lambda divisor: 1 // divisor, (part,) * 9)
    else:
        with pytest.raises(ZeroDivisionError):
            threads.each(lambda divisor: 1 // divisor, (part,) * 9)
    assert os.sched_getaffinity(0) == ALLOWED


def test_a_thread_that_has_ended_is_no_matter() -> None:
    ended = threading.Thread(target=lambda: None)
    ended.start()
    ended.join()
    with kept_apart([ended.native_id or 0]):
        pass
    assert os.sched_getaffinity(0) == ALLOWED
