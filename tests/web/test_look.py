"""The tokens every page is drawn with: text that can be read, controls that can be seen."""

import re
from itertools import product
from pathlib import Path

import pytest

CSS = Path(__file__).resolve().parents[2] / "web" / "static" / "css"
OURS = ("lifeboat.css", "components.css", "board.css", "plain.css")
GROUNDS = ("ground", "surface", "raised", "pressed")
TEXTS = ("ink", "ink-soft", "accent", "good", "wait", "alarm")


def tokens() -> dict[str, str]:
    root = (CSS / "lifeboat.css").read_text().partition(":root {")[2].partition("}")[0]
    return dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6});", root))


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2.2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize(("text", "ground"), list(product(TEXTS, GROUNDS)))
def test_text_stands_out_seven_to_one_from_every_ground(text: str, ground: str) -> None:
    assert contrast(tokens()[text], tokens()[ground]) >= 7


def test_a_chosen_control_and_the_border_of_a_control_can_be_seen() -> None:
    token = tokens()
    assert contrast(token["on-strong"], token["strong"]) >= 7
    assert all(contrast(token["edge"], token[ground]) >= 3 for ground in GROUNDS)


@pytest.mark.parametrize("name", OURS)
def test_text_takes_its_size_from_the_tokens(name: str) -> None:
    """So that a wall screen enlarges all of it."""
    sizes = re.findall(r"font-size: ([^;]+);", (CSS / name).read_text())
    assert [size for size in sizes if not size.startswith("var(--type")] == []
