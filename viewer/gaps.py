"""What seems to be missing between the frames of a stack, and what lies there twice."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final, Literal

from viewer.stacks import SAME_PLACE_MM

GAP_FACTOR: Final = 1.5
"""A step between slices this many times the usual one counts as a gap."""
_FEWEST_STEPS: Final = 3
_GAPS_AT_MOST: Final = 4
"""Where more than one step in so many is wide, the spacing is uneven and no gap stands out."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A step that is much wider than usual.

    Parameters
    ----------
    after : int
        1-based number of the frame in front of it.
    mm : float
        From that frame to the next one.
    missing : int
        So many frames of the usual distance would fit in.
    """

    after: int
    mm: float
    missing: int


@dataclass(frozen=True, slots=True)
class Steps:
    """How the frames of a stack follow each other.

    Parameters
    ----------
    spacing_mm : float or None
        The usual distance, None where there is none.
    smallest_mm, largest_mm : float or None
        The smallest and the largest distance between neighbouring places, gaps left out.
    is_even : bool
        Every distance but the gaps is about the usual one.
    gaps : tuple of Gap
    duplicates : tuple of (int, int)
        First and last 1-based number of frames that lie at one place. Empty where all do: these
        are one place over time.
    """

    spacing_mm: float | None = None
    smallest_mm: float | None = None
    largest_mm: float | None = None
    is_even: bool = True
    gaps: tuple[Gap, ...] = ()
    duplicates: tuple[tuple[int, int], ...] = ()


Basis = Literal["images in acquisition", "contradictory", "none"]


@dataclass(frozen=True, slots=True)
class Completeness:
    """How many images are here and how many there should be.

    Parameters
    ----------
    here : int
    expected : int or None
        None without evidence: then nothing is said about completeness.
    basis : {'images in acquisition', 'contradictory', 'none'}
        Where the expectation comes from: Images in Acquisition (0020,1002), as the scanner counted.
    """

    here: int
    expected: int | None
    basis: Basis


def steps_of(positions: Sequence[float]) -> Steps:
    """Look at the distances between the frames of a stack.

    Parameters
    ----------
    positions : sequence of float
        Place of each frame along the normal in mm, rising; empty when unknown.

    Returns
    -------
    Steps
        Gaps are looked for among three distances or more; with fewer, nothing is usual.
    """
    steps = [after - before for before, after in pairwise(positions)]
    real = [step for step in steps if step > SAME_PLACE_MM]
    if not real:
        return Steps()
    usual = median(real)
    wide = [step for step in real if step > GAP_FACTOR * usual]
    has_gaps = len(real) >= _FEWEST_STEPS and len(wide) <= max(1, len(real) // _GAPS_AT_MOST)
    widest = GAP_FACTOR * usual if has_gaps else max(real)
    kept = [step for step in real if step <= widest]
    return Steps(
        spacing_mm=usual,
        smallest_mm=min(kept),
        largest_mm=max(kept),
        is_even=max(kept) <= GAP_FACTOR * usual and usual <= GAP_FACTOR * min(kept),
        gaps=tuple(
            Gap(number, step, max(1, round(step / usual) - 1))
            for number, step in enumerate(steps, start=1)
            if step > widest
        ),
        duplicates=_duplicates(steps),
    )


def _duplicates(steps: Sequence[float]) -> tuple[tuple[int, int], ...]:
    runs: list[tuple[int, int]] = []
    for number, step in enumerate(steps, start=1):
        if step > SAME_PLACE_MM:
            continue
        if runs and runs[-1][1] == number:
            runs[-1] = (runs[-1][0], number + 1)
        else:
            runs.append((number, number + 1))
    return tuple(runs)


def missing_numbers(numbers: Iterable[int | None]) -> list[int]:
    """Find instance numbers left out between the lowest and the highest.

    Parameters
    ----------
    numbers : iterable of int or None
        Instance Number (0020,0013) of each instance.

    Returns
    -------
    list of int
        Empty when more are left out than used: then they are not a count.
    """
    used = {number for number in numbers if number is not None}
    if not used or max(used) - min(used) + 1 >= 2 * len(used):
        return []
    return sorted(set(range(min(used), max(used))) - used)


def completeness(images: Sequence[tuple[int | None, int | None]]) -> Completeness:
    """Compare what is here with what the scanner counted.

    Parameters
    ----------
    images : sequence of (int or None, int or None)
        Acquisition Number (0020,0012) and Images in Acquisition (0020,1002) of each image.

    Returns
    -------
    Completeness
        Expected is the sum over all acquisitions; None when any image says nothing, when images of
        one acquisition disagree, or when more are here than were counted.
    """
    here = Counter(acquisition for acquisition, _ in images)
    said = {(acquisition, counted) for acquisition, counted in images}
    if not images or any(counted is None or counted < 1 for _, counted in said):
        return Completeness(len(images), None, "none")
    is_contradictory = len(said) > len(here) or any(
        here[acquisition] > (counted or 0) for acquisition, counted in said
    )
    if is_contradictory:
        return Completeness(len(images), None, "contradictory")
    expected = sum(counted or 0 for _, counted in said)
    return Completeness(len(images), expected, "images in acquisition")


def ranges(numbers: Sequence[int]) -> str:
    """Return rising numbers with runs drawn together.

    Examples
    --------
    >>> ranges([3, 81, 82, 83])
    '3, 81-83'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ", ".join("-".join(map(str, run)) for run in runs)
