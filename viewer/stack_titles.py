"""Words that tell the stacks of a series apart."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from viewer.geometry import slice_normal
from viewer.stacks import Stack, StackKind

_PLANES: Final = ("sagittal", "coronal", "axial")
_STRAIGHT: Final = 0.9
"""A normal within about 25 degrees of an axis still has the plain name of its plane."""


def stack_titles(stacks: Sequence[Stack]) -> list[str]:
    """Name each stack: its plane, and what is not the same in all of them.

    Parameters
    ----------
    stacks : sequence of Stack
        All stacks of one series.

    Returns
    -------
    list of str
        For example ``"axial, echo 2"``; ``""`` where there is nothing to say.
    """
    kinds = [stack.kind for stack in stacks]
    differing = [words for part, words in _PARTS if len(set(map(part, kinds))) > 1]
    titles = [
        ", ".join(filter(None, (plane_word(kind), *(words(kind) for words in differing))))
        for kind in kinds
    ]
    return _numbered(titles)


def plane_word(kind: StackKind) -> str:
    """Return the name of a stack's plane.

    Parameters
    ----------
    kind : StackKind

    Returns
    -------
    str
        ``axial``, ``coronal``, ``sagittal``, the same with ``oblique``, ``rotating`` or ``""``.
    """
    normal = slice_normal(kind.image_orientation_patient)
    if normal is None:
        return "rotating" if kind.image_orientation_patient else ""
    weights = [abs(part) for part in normal]
    plane = _PLANES[weights.index(max(weights))]
    return plane if max(weights) >= _STRAIGHT else f"oblique {plane}"


def _parts_words(kind: StackKind) -> str:
    return ", ".join(_part_words(name, value) for name, value in kind.parted_by)


def _part_words(name: str, value: object) -> str:
    if name == "image type":
        return " ".join(map(str, value)).lower() if isinstance(value, tuple) else ""
    if name == "trigger time" and value is not None:
        return f"{value:g} ms after the R wave"
    if name == "pixel spacing" and isinstance(value, tuple) and value:
        return f"pixels of {value[0]:.3g} mm"
    if isinstance(value, tuple):
        return ""
    return f"{name} {'unknown' if value is None else value}"


_PARTS: Final[tuple[tuple[Callable[[StackKind], object], Callable[[StackKind], str]], ...]] = (
    (lambda kind: kind.is_localizer, lambda kind: "localizer" if kind.is_localizer else ""),
    (lambda kind: kind.echo, lambda kind: f"echo {kind.echo}" if kind.echo else ""),
    (
        lambda kind: kind.diffusion_b_value,
        lambda kind: "" if kind.diffusion_b_value is None else f"b {kind.diffusion_b_value:g}",
    ),
    (
        lambda kind: (kind.rows, kind.columns),
        lambda kind: f"{kind.columns} × {kind.rows}" if kind.rows and kind.columns else "",
    ),
    (lambda kind: kind.parted_by, _parts_words),
)


def _numbered(titles: Sequence[str]) -> list[str]:
    """Tell stacks of one name apart by a number."""
    alike, met = Counter(titles), Counter[str]()
    found = []
    for title in titles:
        met[title] += 1
        is_alone = not title or alike[title] == 1
        found.append(title if is_alone else f"{title}, {met[title]} of {alike[title]}")
    return found
