import math
import threading
import time
from io import BytesIO
from typing import Any

import pytest

from web.limits import (
    LARGEST_BODY_BYTES,
    AtWork,
    BoundedWork,
    is_too_large,
    keep_freed_memory,
)


def request(method: str = "POST", body: bytes = b"{}", **more: str) -> dict[str, Any]:
    return {"REQUEST_METHOD": method, "wsgi.input": BytesIO(body), **more}


def test_no_more_requests_are_worked_on_than_there_are_places() -> None:
    running, most, lock = 0, 0, threading.Lock()
    full = threading.Barrier(3)

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        full.wait(10)  # three must be inside together
        with lock:
            running -= 1
        return []

    bounded = BoundedWork(app, 3, AtWork(3))
    threads = [threading.Thread(target=bounded, args=(request(), None)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert most == 3


def test_a_slow_body_takes_no_place() -> None:
    class Slow(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            arrived.wait(10)
            return b"{}"

    arrived = threading.Event()
    answered: list[str] = []
    bounded = BoundedWork(lambda environ, _: answered.append(environ["name"]) or [], 1, AtWork(1))
    slow = threading.Thread(
        target=bounded, args=(request(name="slow") | {"wsgi.input": Slow()}, None)
    )
    slow.start()
    bounded(request("GET", name="quick"), None)
    arrived.set()
    slow.join(10)
    assert answered == ["quick", "slow"]


@pytest.mark.parametrize("kind", ["/frames/1/pixels", "/rendered", "/thumbnail", "/frames/2,3"])
def test_pages_are_answered_while_every_place_waits_for_a_frame(kind: str) -> None:
    released, entered = threading.Event(), threading.Event()
    answered: list[str] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] != "/healthz":
            entered.set()
            released.wait(20)
        answered.append(environ["PATH_INFO"])
        return []

    bounded = BoundedWork(app, 1, AtWork(1))
    path = f"/dicom-web/studies/1/series/2/instances/3{kind}"
    waiting = threading.Thread(target=bounded, args=(request("GET", PATH_INFO=path), None))
    waiting.start()
    assert entered.wait(10)
    bounded(request("GET", PATH_INFO="/healthz"), None)
    released.set()
    waiting.join(10)
    assert answered == ["/healthz", path]


def test_few_frames_are_worked_on_at_once_but_for_those_that_wait_for_a_decoder() -> None:
    at_work, running, seen = AtWork(2), 0, []
    lock, decoded = threading.Lock(), threading.Event()
    are_waiting, both_are_in = threading.Barrier(4), threading.Barrier(2)

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        nonlocal running
        if environ["name"] == "compressed":
            at_work.leave()
            are_waiting.wait(10)
            decoded.wait(10)
            return []
        with lock:
            running += 1
            seen.append(running)
        both_are_in.wait(10)  # so that a third would find them here
        with lock:
            running -= 1
        return []

    bounded = BoundedWork(app, 8, at_work)

    def ask(name: str) -> threading.Thread:
        environ = request("GET", PATH_INFO="/frames/1", name=name)
        thread = threading.Thread(target=bounded, args=(environ, None))
        thread.start()
        return thread

    waiting = [ask("compressed") for _ in range(3)]
    are_waiting.wait(10)
    plain = [ask("plain") for _ in range(20)]
    for thread in plain:
        thread.join(10)
    decoded.set()
    for thread in waiting:
        thread.join(10)
    assert len(seen) == 20
    assert max(seen) == 2


def test_of_a_frame_it_is_known_when_it_was_asked_for_and_of_nothing_else() -> None:
    at_work = AtWork(1)
    seen: list[float] = []
    bounded = BoundedWork(lambda *_: seen.append(at_work.asked_at) or [], 1, at_work)
    before = time.monotonic()
    bounded(request("GET", PATH_INFO="/rendered"), None)
    bounded(request("GET", PATH_INFO="/healthz"), None)
    assert before <= seen[0] <= time.monotonic()
    assert [*seen[1:], at_work.asked_at] == [math.inf] * 2


def test_a_place_is_free_again_after_a_failure_and_left_once_only() -> None:
    at_work = AtWork(1)

    def fail() -> None:
        with at_work.entered():
            at_work.leave()
            at_work.leave()
            raise KeyError

    for _ in range(3):
        with pytest.raises(KeyError):
            fail()
        at_work.leave()
    other_is_in = threading.Event()

    def enter() -> None:
        with at_work.entered():
            other_is_in.set()

    other = threading.Thread(target=enter)
    with at_work.entered():
        other.start()
        assert not other_is_in.wait(0.2)  # with a second place it would be in by now
    assert other_is_in.wait(10)
    other.join(10)


@pytest.mark.parametrize(
    ("length", "expected"),
    [("", False), ("abc", False), ("5", False), (str(LARGEST_BODY_BYTES + 1), True)],
)
def test_what_will_be_refused_is_not_read(length: str, expected: bool) -> None:
    assert is_too_large(request(CONTENT_LENGTH=length)) is expected


def test_memory_can_be_kept_for_reuse_on_any_system() -> None:
    keep_freed_memory()
