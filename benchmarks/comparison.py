"""Ways to one result: checked to give the same, then timed in turn."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.data import Kind
from benchmarks.processes import BenchmarkError

SAME_PICTURE: Final = 1.0
"""Grey levels of 255 by which two pictures may differ, on average, and count as the same."""
_WINDOW_STEP: Final = 0.001
"""What the center moves by for each way: nobody has anything of it ready, and it looks the same."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to a result for a window (center, width); `note` says what else its time holds."""

    name: str
    produce: Callable[[float, float], Any]
    note: str = ""


@dataclass(slots=True)
class Timing:
    """What one way took in each turn, ms.

    `difference` is the largest mean difference from another way's result, in grey levels.
    """

    name: str
    note: str = ""
    times_ms: list[float | None] = field(default_factory=list)
    difference: float = 0.0
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """Ways to compare; `view` makes of each result an array that should be the same.

    Each way has `in_a_row` windows in its turn, one after the other as when a hand drags them.
    """

    title: str
    kind: Kind
    ways: list[Way]
    view: Callable[[Any], NDArray[Any]]
    in_a_row: int = 1


@dataclass(frozen=True, slots=True)
class Comparison:
    """What each way to one result took."""

    title: str
    timings: list[Timing]


def unavailable(name: str, reason: BenchmarkError) -> Way:
    """Return a way that is not there, so that the table says why."""

    def refuse(_center: float, _width: float) -> None:
        raise reason

    return Way(name, refuse)


def compare(task: Task, turns: int) -> Comparison:
    """Check that all ways give the same, then time them in turn.

    Parameters
    ----------
    task : Task
        A way that fails, or that gives another picture than the first, is not timed.
    turns : int
        How often each way has its turn.
    """
    timings = {way.name: Timing(way.name, way.note) for way in task.ways}
    _check_same(task, timings)
    steps = count(1)
    for turn in range(turns):
        first = turn % len(task.ways)
        for way in task.ways[first:] + task.ways[:first]:
            for step in islice(steps, task.in_a_row):
                if not timings[way.name].failure:
                    _take_turn(timings[way.name], way, task.kind, step)
    return Comparison(task.title, list(timings.values()))


def _check_same(task: Task, timings: dict[str, Timing]) -> None:
    views = _views(task, timings)
    reference = next(iter(views.values()), np.empty(0))
    for name, view in views.items():
        if view.shape != reference.shape or _difference(view, reference) > SAME_PICTURE:
            timings[name].failure = "gives another picture"
    same = [name for name in views if not timings[name].failure]
    for name in same:
        timings[name].difference = max(_difference(views[name], views[other]) for other in same)


def _views(task: Task, timings: dict[str, Timing]) -> dict[str, NDArray[Any]]:
    views = {}
    for way in task.ways:
        try:
            views[way.name] = task.view(way.produce(*task.kind.window))
        except BenchmarkError as error:
            timings[way.name].failure = str(error)
    return views


def _difference(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float(np.abs(a.astype(np.float32) - b).mean())


def _take_turn(timing: Timing, way: Way, kind: Kind, steps: int) -> None:
    center, width = kind.window
    moved = round(center + steps * _WINDOW_STEP, 3)
    begin = time.perf_counter()
    try:
        way.produce(moved, width)
    except BenchmarkError as error:
        timing.failure = str(error)
    else:
        timing.times_ms.append((time.perf_counter() - begin) * 1e3)
