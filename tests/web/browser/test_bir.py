"""Every function of docs/bir.md by keys, mouse and touch, told by what the page then shows."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pytest
from playwright.sync_api import Browser, Error, Page
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import GrayscaleSoftcopyPresentationStateStorage, generate_uid

from tests.conftest import wait_until
from tests.web.browser.hands import FRAME, NEXT_DRAWING
from tests.web.browser.ways import WAYS, Function, Hand, functions

pytestmark = pytest.mark.browser

Make = Callable[..., FileDataset]
State = dict[str, Any]
SLICES: Final = 24
LENGTH: Final = "`D` `Enter` `Shift+ArrowRight` `Enter`"
CR: Final = "`PageDown` `PageDown` `PageDown`"
STATE: Final = """() => {
  const page = { path: location.pathname, dialogs: [...document.querySelectorAll("dialog[open]")].map(one => one.id || one.className) };
  const tile = document.querySelector(".tile[data-active=true]");
  if (!tile) return page;
  const tiles = [...document.querySelectorAll(".tile")];
  const text = (root, name) => root.querySelector(`[data-field=${name}]`).textContent;
  const canvas = tile.querySelector("canvas");
  const { data } = canvas.getContext("2d").getImageData((canvas.width >> 1) - 12, (canvas.height >> 1) - 12, 24, 24);
  const [, width, center] = /W ([\\d.]+)\\s+L (-?[\\d.]+)/.exec(text(tile, "text-window")) || [0, 0, 0];
  const hidden = id => document.getElementById(id).hidden;
  return {
    ...page,
    state: canvas.dataset.state, frame: canvas.dataset.frame, zoom: Number(canvas.dataset.zoom),
    left: Number(canvas.dataset.left), room: Math.min(canvas.width, canvas.height),
    image: text(tile, "text-slice"), series: text(tile, "corner-series"), turned: text(tile, "text-turned"),
    width: Number(width), center: Number(center), grey: [...data].filter((_, at) => at % 4 === 0),
    tiles: tiles.length, active: tiles.indexOf(tile), images: tiles.map(one => text(one, "text-slice")),
    maximised: tile.dataset.maximised,
    pressed: [...document.querySelectorAll(".toolbar [aria-pressed=true]")].map(one => one.dataset.action),
    lines: document.querySelectorAll("line.localizer").length, cross: document.querySelectorAll("line.cross-hair").length,
    marks: [...document.querySelectorAll(".mark")].map(one => [one.dataset.kind, one.querySelector(".label")?.textContent || ""]),
    chosen: document.querySelectorAll(".mark[data-state=selected]").length, key: tile.dataset.key,
    onlyKeys: hidden("only-keys") ? "" : document.getElementById("only-keys").textContent,
    texts: document.body.dataset.annotations, presentation: text(tile, "text-presentation"),
    rate: document.getElementById("cine-rate").textContent, isFull: Boolean(document.fullscreenElement),
  };
}"""  # noqa: E501


@dataclass(frozen=True)
class Effect:
    """What a function does: how the page is brought there, and how it is told afterwards."""

    is_done: Callable[[State, State], bool]
    first: str = ""


def number(state: State) -> int:
    """Return which image of the stack is drawn."""
    return int(re.findall(r"\d+", state["image"])[0])


def only_mark(state: State, kind: str, says: str) -> bool:
    return len(state["marks"]) == 1 and bool(
        state["marks"][0][0] == kind and re.search(says, state["marks"][0][1])
    )


def opens(name: str) -> Effect:
    return Effect(lambda _, now: now["dialogs"] == [name])


def marks(kind: str, says: str) -> Effect:
    return Effect(lambda _, now: only_mark(now, kind, says))


def moves(steps: int) -> Effect:
    return Effect(lambda was, now: number(now) - number(was) == steps)


def turns(words: str) -> Effect:
    return Effect(lambda _, now: now["turned"] == words, CR)


def fits(state: State) -> bool:
    return abs(64 * state["zoom"] - state["room"]) <= 1


def is_like_bone(state: State) -> bool:
    return (state["width"], state["center"]) == (1800, 400)


def is_own(state: State) -> bool:
    return (state["width"], state["center"]) == (400, 40)


EFFECTS: Final[dict[str, Effect]] = {
    "Open a study of a patient": Effect(lambda _, now: now["path"].startswith("/studies/")),
    "Choose a series": Effect(lambda was, now: now["series"] != was["series"] and drawn(now)),
    "Next image": Effect(lambda was, now: number(now) > number(was) and greys_differ(was, now)),
    "Previous image": Effect(lambda was, now: number(now) < number(was)),
    "Ten images on": moves(10),
    "Ten images back": moves(-10),
    "First image": Effect(lambda _, now: number(now) == 1 and drawn(now)),
    "Last image": Effect(lambda _, now: number(now) == SLICES and drawn(now)),
    "Go to an image that is named": Effect(
        lambda was, now: number(now) == 3 and now["series"] != was["series"]
    ),
    "Cine": Effect(lambda was, now: "cine" in now["pressed"] and now["image"] != was["image"]),
    "Rate of cine": Effect(lambda was, now: (was["rate"], now["rate"]) == ("10/s", "12/s")),
    "Window by hand": Effect(
        lambda was, now: (
            now["width"] > was["width"] and now["center"] < was["center"] and greys_differ(was, now)
        )
    ),
    "Brighter": Effect(
        lambda was, now: now["center"] < was["center"] and sum(now["grey"]) > sum(was["grey"])
    ),
    "More contrast": Effect(lambda was, now: now["width"] < was["width"]),
    "Window preset": Effect(lambda was, now: is_like_bone(now) and greys_differ(was, now)),
    "The file's own window": Effect(lambda _, now: is_own(now), "`4`"),
    "Invert": Effect(lambda was, now: is_inverse(was["grey"], now["grey"]), "`#`"),
    "Zoom in": Effect(lambda was, now: now["zoom"] > 1.2 * was["zoom"]),
    "Zoom out": Effect(lambda was, now: now["zoom"] < was["zoom"] / 1.2),
    "Move": Effect(lambda was, now: now["left"] >= was["left"] + 40 and drawn(now)),
    "Move without a drag": Effect(lambda was, now: now["left"] == was["left"] + 40),
    "Fit": Effect(lambda _, now: fits(now), "`Shift+Z`"),
    "One to one": Effect(lambda _, now: now["zoom"] == 1),
    "Turn right": turns("Turned 90°"),
    "Turn left": turns("Turned 270°"),
    "Mirror left to right": turns("Mirrored"),
    "Mirror top to bottom": turns("Turned 180°, mirrored"),
    "Two tiles": Effect(lambda _, now: now["tiles"] == 2),
    "Four tiles": Effect(lambda _, now: now["tiles"] == 4),
    "Choose a tile": Effect(lambda was, now: now["active"] != was["active"], "`Shift+L`"),
    "One tile large": Effect(lambda _, now: now["maximised"] == "true", "`Shift+L`"),
    "Linked scrolling": Effect(
        lambda was, now: len(set(now["images"])) == 1 and now["image"] != was["image"], "`Shift+L`"
    ),
    "Lines where other tiles cut": Effect(lambda _, now: now["lines"] > 0, "`Shift+L` `Shift+L`"),
    "Cross-hair": Effect(lambda _, now: now["cross"] == 8, "`Shift+L`"),
    "Length": marks("length", r"^\d+\.\d mm$"),
    "Angle": marks("angle", r"^\d+\.\d°$"),
    "Cobb angle": marks("cobb", r"^\d+\.\d° \(or "),
    "Values in an ellipse": marks("ellipse", "^Mean -?[0-9.]+ HU"),
    "Values in a rectangle": marks("rectangle", "^Mean -?[0-9.]+ HU"),
    "Value of a pixel": marks("probe", r"^-?\d+ HU$"),
    "Note": marks("arrow", r"^Old fracture\?$"),
    "Delete a mark": Effect(lambda _, now: not now["marks"], LENGTH),
    "Undo": Effect(lambda _, now: not now["marks"], LENGTH),
    "Do again": Effect(lambda _, now: only_mark(now, "length", "mm"), LENGTH + " `Ctrl+Z`"),
    "Find a mark": Effect(
        lambda was, now: not was["marks"] and only_mark(now, "length", "mm") and now["chosen"] == 1,
        LENGTH + " `S` `End`",
    ),
    "Mark a key image": Effect(lambda _, now: now["key"] == "marked"),
    "Key images only": Effect(
        lambda _, now: (
            f"1 of the {2 * SLICES + 8 + 1} images" in now["onlyKeys"]
            and number(now) == SLICES // 2 + 1
        ),
        "`K` `End`",
    ),
    "All images again": Effect(lambda _, now: not now["onlyKeys"], "`K` `Shift+K`"),
    "Texts over the picture": Effect(lambda _, now: now["texts"] == "minimal"),
    "Overlays of the scanner": Effect(
        lambda was, now: "overlays" not in now["pressed"] and greys_differ(was, now)
    ),
    "Presentation state": Effect(
        lambda was, now: "state applied" in now["presentation"] and greys_differ(was, now)
    ),
    "Compare with a prior study": Effect(
        lambda _, now: now["tiles"] == 2 and now["images"][1].endswith("of 3")
    ),
    "Reset": Effect(
        lambda was, now: is_own(now) and fits(now) and number(now) == number(was), "`4` `+`"
    ),
    "Full screen": Effect(lambda _, now: now["isFull"]),
    "Print": Effect(lambda was, now: now["pages"] == was["pages"] + 1),
    "Save the picture or the objects": opens("save-dialog"),
    "All elements of the object": Effect(lambda _, now: "elements" in "".join(now["dialogs"])),
    "All tools": opens("tool-menu"),
    "Help": opens("keys"),
}
QUICK: Final = {
    ("Window by hand", "touch"), ("Zoom in", "touch"), ("Invert", "keys"),
    ("Move without a drag", "mouse"),
}  # fmt: skip
"""Stand for the others where all of them would take too long."""


def drawn(state: State) -> bool:
    return bool(state["state"] == "final" and any(state["grey"]))


def is_inverse(was: list[int], now: list[int]) -> bool:
    """Between pixels of a picture drawn larger, levels are rounded once more."""
    return all(abs(255 - one - other) <= 1 for one, other in zip(was, now, strict=True))


def greys_differ(was: State, now: State) -> bool:
    return bool(drawn(now) and was["grey"] != now["grey"])


def item(**elements: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def slices(make: Make, count: int, series_number: int, **known: Any) -> list[FileDataset]:
    """Return slices 2 mm apart: axial, or sagittal through the same cube."""
    is_sagittal = known.pop("sagittal", False)
    series = generate_uid()
    found = []
    for n in range(count):
        mm = 2 * (n - count // 2)
        place = [mm, -32, 32] if is_sagittal else [-32, -32, mm]
        cosines = [0, 1, 0, 0, 0, -1] if is_sagittal else [1, 0, 0, 0, 1, 0]
        pixels = np.random.default_rng(n + 100 * series_number).integers(-500, 900, (64, 64))
        found.append(
            make(
                n + 1,
                SeriesInstanceUID=series,
                SeriesNumber=series_number,
                SeriesDescription=f"Series {series_number}",
                ImagePositionPatient=place,
                ImageOrientationPatient=cosines,
                RescaleType="HU",
                PixelData=pixels.astype(np.int16).tobytes(),
                **known,
            )
        )
    return found


def with_overlay(ds: FileDataset) -> None:
    drawn = np.zeros((64, 64), bool)
    drawn[31:33, 20:40] = True
    for element, vr, value in (
        (0x10, "US", 64), (0x11, "US", 64), (0x40, "CS", "G"), (0x50, "SS", [1, 1]),
        (0x100, "US", 1), (0x102, "US", 0),
        (0x3000, "OW", np.packbits(drawn, bitorder="little").tobytes()),
    ):  # fmt: skip
        ds.add_new((0x6000, element), vr, value)


def state_for(make: Make, images: list[FileDataset], **known: Any) -> FileDataset:
    state = make(SeriesInstanceUID=generate_uid(), SeriesNumber=9, Modality="PR", **known)
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(state, keyword)
    state.SOPClassUID = GrayscaleSoftcopyPresentationStateStorage
    state.file_meta.MediaStorageSOPClassUID = state.SOPClassUID
    refers = [item(ReferencedSOPInstanceUID=image.SOPInstanceUID) for image in images]
    state.ContentLabel = "BONE"
    state.ReferencedSeriesSequence = [item(ReferencedImageSequence=refers)]
    state.SoftcopyVOILUTSequence = [item(WindowCenter=300, WindowWidth=900)]
    return state


@pytest.fixture(scope="module")
def study(keeper: Any, make_instance: Make) -> str:
    """A study with all that the functions need, and an older one of the same patient."""
    uid, space = generate_uid(), generate_uid()
    who = {"PatientName": "CONFORMANCE^Case", "PatientID": "BIR-1"}
    known = {"StudyInstanceUID": uid, "FrameOfReferenceUID": space, **who}
    axial = slices(make_instance, SLICES, 1, **known)
    for one in axial:
        with_overlay(one)
    others = [
        *slices(make_instance, SLICES, 2, **known),
        *slices(make_instance, 8, 3, sagittal=True, **known),
        *slices(make_instance, 1, 4, Modality="CR", **known),
        state_for(make_instance, axial, StudyInstanceUID=uid, **who),
        *slices(make_instance, 3, 1, StudyInstanceUID=generate_uid(), StudyDate="20200101", **who),
    ]
    keeper.keep(*axial, *others)
    return str(uid)


@pytest.fixture(scope="module")
def hand(browser: Browser, served: int) -> Iterator[Callable[[str], Hand]]:
    """One page with a mouse and keys, one with fingers."""
    pages: dict[bool, Page] = {}

    def of(way: str) -> Hand:
        is_touch = way == "touch"
        if is_touch not in pages:
            size = {"width": 1024, "height": 768} if is_touch else {"width": 1280, "height": 900}
            context = browser.new_context(
                viewport=size, has_touch=is_touch, base_url=f"http://127.0.0.1:{served}"
            )
            pages[is_touch] = context.new_page()
            pages[is_touch].set_default_timeout(30_000)
        return Hand(pages[is_touch])

    yield of
    for page in pages.values():
        page.context.close()


def forget_marks(page: Page, study: str) -> None:
    """Delete all marks; one that the page still saves meanwhile is met the next time round."""
    url = f"/api/v1/studies/{study}/marks"

    def are_forgotten() -> bool:
        marks = page.request.get(url).json()["marks"]
        for mark in marks:
            known = {"mark_id": mark["mark_id"], "revision": mark["revision"]}
            assert page.request.post(f"{url}/delete", data=known).status in (200, 409)
        return not marks

    wait_until(are_forgotten, 20, "no marks")


def look(page: Page) -> State:
    """Return what the page shows; nothing while another one is on its way."""
    try:
        page.evaluate(NEXT_DRAWING)
        found: State = page.evaluate(STATE)
    except Error:
        return {"path": "", "dialogs": []}
    return found | {"pages": len(page.context.pages)}


def come_to(page: Page, study: str, function: Function) -> State:
    """Open what a function begins with."""
    if function.name == "Open a study of a patient":
        page.goto("/")
        return look(page)
    forget_marks(page, study)
    page.goto(f"/studies/{study}")
    page.wait_for_selector(f"{FRAME}[data-state=final]")
    page.wait_for_selector("#strip button >> nth=3")
    page.locator("[data-field=text-presentation]", has_text="not applied").wait_for()
    Hand(page).do(EFFECTS[function.name].first)
    page.wait_for_function(
        "() => document.querySelector('.tile[data-active=true] canvas').dataset.state === 'final'"
    )
    return look(page)


def cases() -> list[Any]:
    long = pytest.mark.full_browser
    return [
        pytest.param(
            function, way, id=f"{function.name}-{way}",
            marks=() if (function.name, way) in QUICK else long,
        )
        for function in functions()
        for way in WAYS
    ]  # fmt: skip


def test_the_table_tells_every_function_and_three_ways_to_it() -> None:
    rows = functions()
    assert [one.name for one in rows] == list(EFFECTS), "docs/bir.md and this file name the same"
    assert all(one.ways[way] for one in rows for way in WAYS)


@pytest.mark.parametrize(("function", "way"), cases())
def test_every_function_is_done_in_every_way(
    hand: Callable[[str], Hand], study: str, function: Function, way: str
) -> None:
    found = hand(way)
    page = found.page
    before = come_to(page, study, function)
    is_done = EFFECTS[function.name].is_done
    assert not is_done(before, before), "it is done already"
    found.do(function.ways[way])
    for _ in range(100):
        now = look(page)
        if len(now) > 3 and is_done(before, now):
            break
        page.wait_for_timeout(100)
    else:
        shown = {name: now.get(name) for name in now if now[name] != before.get(name)}
        pytest.fail(f"{function.ways[way]}: {shown}")
    for other in page.context.pages:
        if other is not page:
            other.close()
