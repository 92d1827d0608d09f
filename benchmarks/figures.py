"""Medians, spreads and ratios of what was measured in turn."""

import math
from collections.abc import Sequence
from statistics import median

Samples = Sequence[float | None]
"""One figure per round; None where a round failed."""


def middle(samples: Samples) -> float:
    """Return the median; NaN when there is none."""
    known = present(samples)
    return median(known) if known else math.nan


def percentile(samples: Samples, percent: float) -> float:
    """Return the sample below which `percent` of them lie; NaN when there is none."""
    known = sorted(present(samples))
    return known[min(len(known) - 1, int(len(known) * percent / 100))] if known else math.nan


def middle_ratio(numerators: Samples, denominators: Samples) -> float:
    """Return the median of the ratios within each round; NaN when there is none.

    Disk and processor of a shared machine drift. Both sides of one ratio were measured within
    seconds of each other, so that the drift cancels.
    """
    pairs = zip(numerators, denominators, strict=False)
    return middle([a / b for a, b in pairs if a is not None and b])


def present(samples: Samples) -> list[float]:
    """Return the rounds that did not fail."""
    return [sample for sample in samples if sample is not None]
