"""Reads the table of docs/bir.md, and does on a page what it says."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from playwright.sync_api import Locator, Page

from tests.web.browser.hands import FRAME, NEXT_DRAWING, Point, along, draw, finger, fingers

PAGE: Final = Path(__file__).resolve().parents[3] / "docs" / "bir.md"
WAYS: Final = ("keys", "mouse", "touch")
STEP: Final = re.compile(
    r"`(?P<key>[^`]+)`|type \*(?P<text>[^*]+)\*|(?P<choose>choose) \*\*(?P<option>[^*]+)\*\*"
    r"|(?P<press>click|tap) (?:\*\*(?P<name>[^*]+)\*\*|\*(?P<place>[^*]+)\*)"
    r"|(?P<hand>wheel|left drag|middle drag|right drag|double click|right click|one finger|hold"
    r"|two taps|two fingers|pinch) ?(?P<arrow>[→←↑↓↗↔]?)"
)
ARROWS: Final = {"→": (90, 0), "↑": (0, -80), "↓": (0, 80), "↗": (80, -60)}
TEXTS: Final = {"the name": "conformance", "series/image": "2/3", "a note": "Old fracture?"}
OTHER_TILE: Final = ".tile:not([data-active=true]) canvas"
ARE_FOUND: Final = """() => {
    const rows = [...document.querySelectorAll("#studies .study")];
    return rows.length > 0 && rows.every(one => one.textContent.includes("CONFORMANCE"));
}"""
TARGET_PX: Final = 44


@dataclass(frozen=True)
class Function:
    """One row of the table: what can be done, and the three ways to it."""

    name: str
    ways: dict[str, str]


def functions() -> list[Function]:
    """Return the rows of the table."""
    rows = [line.split("|")[1:-1] for line in PAGE.read_text("utf-8").splitlines() if "|" in line]
    cells = [[cell.strip() for cell in row] for row in rows[2:]]
    return [Function(name, dict(zip(WAYS, ways, strict=True))) for name, *ways in cells]


def steps(way: str) -> list[dict[str, str]]:
    """Return the steps of a way; every word of it must be one."""
    rest = STEP.sub("", way).replace(",", "").strip()
    assert not rest, f"nobody knows what {rest!r} means in {way!r}"
    return [match.groupdict("") for match in STEP.finditer(way)]


class Hand:
    """Does the steps of a way on a page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def do(self, way: str) -> None:
        for step in steps(way):
            self.step(step)

    def step(self, step: dict[str, str]) -> None:
        if step["key"]:
            if self.page.locator("#compare[open]").count():
                self.page.wait_for_selector("#compare [data-studies] button")
            self.page.keyboard.press(re.sub("^Ctrl", "Control", step["key"]))
        elif step["text"]:
            self.page.keyboard.type(TEXTS[step["text"]])
            if step["text"] == "the name":
                self.page.wait_for_function(ARE_FOUND)
        elif step["choose"]:
            options = self.page.locator("#preset option").all_text_contents()
            [label] = [one for one in options if one.startswith(step["option"])]
            self.page.select_option("#preset", label=label)
        elif step["press"]:
            self.press(step["press"], step["name"], step["place"])
        else:
            self.on_picture(step["hand"], step["arrow"])

    def press(self, how: str, name: str, place: str) -> None:
        """Press a button, or a place on the page; a finger needs it to be large."""
        if place in PLACES:
            found, at = PLACES[place](self.page)
        else:
            found, at = self.button(name), None
        box = found.bounding_box()
        if how == "click":
            found.click(position=at)
            return
        assert box is not None
        assert min(box["width"], box["height"]) >= TARGET_PX, f"too small for a finger: {name}"
        found.tap(position=at)

    def button(self, name: str) -> Locator:
        """Return the button with a name; while a dialogue is open, one of the dialogue."""
        dialog = self.page.locator("dialog[open]")
        within = dialog if dialog.count() else self.page.locator("body")
        found = within.get_by_role("button", name=name, exact=True)
        found.first.scroll_into_view_if_needed()
        return found.first

    def on_picture(self, hand: str, arrow: str) -> None:
        x, y = middle(self.page)
        start = (x - 50, y + 30)
        dx, dy = ARROWS.get(arrow, (0, 0))
        end = (start[0] + dx, start[1] + dy)
        acts: dict[str, Callable[[], None]] = {
            "wheel": lambda: self.wheel((x, y)),
            "left drag": lambda: draw(self.page, start, end),
            "middle drag": lambda: draw(self.page, start, end, "middle"),
            "right drag": lambda: draw(self.page, start, end, "right"),
            "double click": lambda: self.page.mouse.dblclick(x, y),
            "right click": lambda: self.page.mouse.click(x, y, button="right"),
            "one finger": lambda: swipe(self.page, start, end),
            "hold": lambda: self.hold((x, y)),
            "two taps": lambda: two_taps(self.page, (x, y)),
            "two fingers": lambda: fingers(
                self.page,
                along(start, end),
                along((start[0] + 80, start[1]), (end[0] + 80, end[1])),
            ),
            "pinch": lambda: fingers(
                self.page, along((x - 40, y), (x - 100, y)), along((x + 40, y), (x + 100, y))
            ),
        }
        acts[hand]()

    def wheel(self, at: Point) -> None:
        self.page.mouse.move(*at)
        self.page.mouse.wheel(0, 120)

    def hold(self, at: Point) -> None:
        finger(self.page, at, rest_ms=800)
        self.page.wait_for_selector("#tool-menu[open]")


def middle(page: Page) -> Point:
    """Return the middle of the active tile, on the page."""
    page.evaluate(NEXT_DRAWING)
    box = page.locator(f".tile[data-active=true] {FRAME}").bounding_box()
    assert box
    return (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def swipe(page: Page, start: Point, end: Point) -> None:
    """Draw a finger over the page; the browser keeps its pace, so that it never seems to rest."""
    session = page.context.new_cdp_session(page)
    gesture = {"x": start[0], "y": start[1], "gestureSourceType": "touch", "preventFling": True}
    way = {"xDistance": end[0] - start[0], "yDistance": end[1] - start[1], "speed": 400}
    session.send("Input.synthesizeScrollGesture", gesture | way)
    session.detach()


def two_taps(page: Page, at: Point) -> None:
    """Tap twice; the events carry their own times, so that a slow machine does not matter."""
    session = page.context.new_cdp_session(page)
    begin = time.time() - 0.3
    for number, name in enumerate(("touchStart", "touchEnd") * 2):
        points = [{"x": at[0], "y": at[1]}] if name == "touchStart" else []
        event = {"type": name, "touchPoints": points, "timestamp": begin + number * 0.06}
        session.send("Input.dispatchTouchEvent", event)
    session.detach()


Place = tuple[Locator, dict[str, float] | None]


def on_canvas(page: Page, right: float, down: float) -> Place:
    canvas = page.locator(f".tile[data-active=true] {FRAME}")
    box = canvas.bounding_box()
    assert box
    return canvas, {"x": box["width"] / 2 + right, "y": box["height"] / 2 + down}


def on_slider(page: Page, share: float) -> Place:
    slider = page.locator(".tile[data-active=true] [data-field=slider]")
    box = slider.bounding_box()
    assert box
    return slider, {"x": box["width"] / 2, "y": 3 + (box["height"] - 6) * share}


PLACES: Final[dict[str, Callable[[Page], Place]]] = {
    "the name": lambda page: (page.locator(".study", has_text="CONFORMANCE").first, None),
    "the second series": lambda page: (page.locator("#strip button").nth(1), None),
    "the upper end of the slider": lambda page: on_slider(page, 0),
    "the lower end of the slider": lambda page: on_slider(page, 1),
    "the box": lambda page: (page.locator("#jump input"), None),
    "the other tile": lambda page: (
        page.locator(OTHER_TILE).first,
        None,
    ),
    "the picture": lambda page: on_canvas(page, -30, 20),
    "a third place": lambda page: on_canvas(page, -50, -60),
    "a mark of the list": lambda page: (page.locator("#marks-list .go").first, None),
    "another study": lambda page: (page.locator("#compare [data-studies] button").first, None),
}
