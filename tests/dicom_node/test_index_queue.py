import threading

import pytest
import sqlalchemy.exc

from dicom_node.index_queue import IndexQueue


class Book:
    """Collects what is entered; fails as told."""

    def __init__(self) -> None:
        self.entered: list[str] = []
        self.forgotten: list[str] = []
        self.errors: list[Exception] = []
        self.bad: set[str] = set()
        self.tried = threading.Event()

    def add(self, batch) -> None:
        self.tried.set()
        if self.errors:
            raise self.errors.pop()
        if self.bad & set(batch):
            raise ValueError("cannot be entered")
        self.entered.extend(batch)

    def forget(self, pending) -> None:
        self.forgotten.extend(pending)


@pytest.fixture
def book():
    return Book()


def run(book: Book, names: list[str]) -> IndexQueue:
    queue = IndexQueue(book.add, book.forget)
    for name in names:
        queue.put(name, f"pending-{name}")
    queue.start()
    queue.stop()
    return queue


def test_everything_put_is_entered_and_then_forgotten(book):
    run(book, ["a", "b", "c"])
    assert book.entered == ["a", "b", "c"]
    assert book.forgotten == ["pending-a", "pending-b", "pending-c"]


def test_an_instance_that_cannot_be_entered_does_not_hold_up_the_others(book):
    book.bad = {"b"}
    run(book, ["a", "b", "c"])
    assert book.entered == ["a", "c"]
    assert book.forgotten == ["pending-a", "pending-c"]


def test_a_failing_database_is_tried_again(book):
    book.errors = [sqlalchemy.exc.OperationalError("insert", {}, Exception("disk I/O error"))]
    queue = IndexQueue(book.add, book.forget)
    queue.start()
    queue.put("a", "pending-a")
    assert book.tried.wait(10)
    book.tried.clear()
    assert book.tried.wait(10)
    queue.stop()
    assert book.entered == ["a"]


def test_a_damaged_database_is_reported_and_nothing_is_forgotten(book):
    damage = threading.Event()
    book.errors = [sqlalchemy.exc.DatabaseError("insert", {}, Exception("malformed"))] * 99
    queue = IndexQueue(book.add, book.forget, damage.set)
    queue.start()
    queue.put("a", "pending-a")
    assert damage.wait(10)
    queue.stop()
    assert book.forgotten == []


def test_a_name_that_cannot_be_dropped_does_not_end_the_thread(book):
    def refuse(pending) -> None:
        raise PermissionError("incoming")

    queue = IndexQueue(book.add, refuse)
    queue.start()
    queue.put("a", "pending-a")
    assert queue.flush()
    queue.put("b", "pending-b")
    assert queue.flush()
    queue.stop()
    assert book.entered == ["a", "b"]


def test_the_end_comes_although_the_index_never_takes_a_row():
    def refuse(batch):
        raise sqlalchemy.exc.OperationalError("", None, Exception("disk I/O error"))

    queue = IndexQueue(refuse, lambda pending: None)
    queue.start()
    queue.put("a", "pending-a")
    queue.stop_retrying()
    assert not queue.flush()
    queue.stop()


def test_a_row_left_out_is_told():
    def refuse(batch):
        raise ValueError("no row")

    told = threading.Event()
    queue = IndexQueue(refuse, lambda pending: None, on_left_out=told.set)
    queue.start()
    queue.put("a", "pending-a")
    queue.stop()
    assert told.is_set()
