"""web.read_ahead: what is decoded before it is asked for, in the order of the series."""

import threading
from dataclasses import dataclass

import pytest

from web.read_ahead import ReadAhead


@dataclass(frozen=True)
class Record:
    """What read-ahead looks at of an instance."""

    sop_instance_uid: str
    number_of_frames: int
    series_instance_uid: str = "1.2"


def decoded_after(
    series: list[Record], asked: tuple[Record, int], count: int
) -> list[tuple[str, int]]:
    done: list[tuple[str, int]] = []
    enough = threading.Event()

    def decode(record: Record, frame_number: int) -> bool:
        done.append((record.sop_instance_uid, frame_number))
        if len(done) == count:
            enough.set()
        return True

    ahead = ReadAhead(lambda _: series, decode)  # type: ignore[arg-type]  # all it looks at
    ahead.asked(*asked)  # type: ignore[arg-type]  # the same
    assert enough.wait(20)
    ahead.close()
    return done


def test_the_next_frames_are_decoded_across_instances() -> None:
    series = [Record("1", 2), Record("2", 1), Record("3", 9)]
    done = decoded_after(series, (series[0], 2), 9)
    assert done[:4] == [("2", 1), ("3", 1), ("3", 2), ("3", 3)]
    assert ("1", 1) in done


def test_an_expected_frame_is_decoded_itself_and_nothing_else() -> None:
    done: list[tuple[str, int]] = []
    is_done = threading.Event()

    def decode(record: Record, frame_number: int) -> bool:
        done.append((record.sop_instance_uid, frame_number))
        is_done.set()
        return True

    series = [Record("1", 9)]
    ahead = ReadAhead(lambda _: series, decode)  # type: ignore[arg-type]  # all it looks at
    ahead.expected(series[0], 5)  # type: ignore[arg-type]  # the same
    assert is_done.wait(20)
    ahead.close()
    assert done == [("1", 5)]


@pytest.mark.parametrize("at", [1, 1_000_000_000])
def test_a_number_of_frames_beyond_all_measure_costs_nothing(at: int) -> None:
    series = [Record("1", 2_000_000_000), Record("2", 1)]
    done = decoded_after(series, (series[0], at), 8)
    assert done[:2] == [("1", at + 1), ("1", at + 2)]
