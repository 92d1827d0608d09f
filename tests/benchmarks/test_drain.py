"""A drain is measured into real peers; how fast is not tested."""

import numpy as np

from benchmarks.data import UidFactory
from benchmarks.drain import NOTES, DrainBenchmark
from benchmarks.receivers import STORESCP


def test_every_way_brings_everything_there(tmp_path, require):
    for program in ("dcmsend", "storescp"):
        require(program)
    told = []
    benchmark = DrainBenchmark(tmp_path, UidFactory(1), np.random.default_rng(1), count=4)
    (result,) = benchmark.measure(1, lambda *turns: told.append(turns), [STORESCP])
    assert [row.name for row in result.rows] == list(NOTES)
    assert [row.failure for row in result.rows] == [""] * len(NOTES)
    assert all(rate for row in result.rows for rate in row.rates)
    assert told == [(1, 1)]
    assert list(tmp_path.iterdir()) == []
