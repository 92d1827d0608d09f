"""Measuring in a real browser: what is set, what it says, and that none of it is lost."""

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Locator, Page, Route, expect
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import KeyObjectSelectionDocumentStorage, generate_uid

from dicom_node.setting_tables import NodeSettings, WebSettings
from dicom_node.settings import Settings

pytestmark = pytest.mark.browser

Make = Callable[..., FileDataset]
Point = tuple[float, float]
ROW_MM, COLUMN_MM = 0.4, 0.7
FRAME = "[data-field=frame]"
NEXT_DRAWING = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    data = tmp_path_factory.mktemp("marks") / "data"
    data.mkdir()
    return Settings(node=NodeSettings(data=data), web=WebSettings(quiet_after_s=30.0))


@pytest.fixture(scope="module")
def keeper(settings: Settings, make_keeper: Callable[..., Any]) -> Any:
    """One node for all tests of this file: each brings a study of its own."""
    return make_keeper(settings.node.data)


@pytest.fixture(scope="module")
def served(settings: Settings, keeper: Any, launch_web: Callable[..., Any]) -> int:
    return int(launch_web(settings.node.data).port)


@pytest.fixture
def stack(keeper: Any, make_instance: Make) -> list[FileDataset]:
    """A CT of three slices whose pixels are not square; the middle one is opened."""
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    known = {"PixelSpacing": [ROW_MM, COLUMN_MM], "PixelPaddingValue": -1000}
    slices = [make_instance(n, **uids, **known, RescaleType="HU") for n in range(1, 4)]
    for one in slices:
        one["PixelPaddingValue"].VR = "SS"
    keeper.keep(*slices)
    return slices


def open_study(page: Page, dataset: FileDataset) -> None:
    page.goto(f"/studies/{dataset.StudyInstanceUID}")
    page.wait_for_selector(f"{FRAME}[data-state=final]")
    page.wait_for_selector("#strip button")  # nothing moves any more


def on_screen(page: Page, *points: Point) -> list[Point]:
    """Return where points of the image lie on the page; pixels are as wide as their spacing."""
    page.evaluate(NEXT_DRAWING)
    canvas = page.locator(FRAME)
    facts = {name: float(canvas.get_attribute(f"data-{name}")) for name in ("left", "top", "zoom")}
    box = canvas.bounding_box()
    assert box
    shape = (1.0, ROW_MM / COLUMN_MM) if ROW_MM > COLUMN_MM else (COLUMN_MM / ROW_MM, 1.0)
    return [
        (
            box["x"] + facts["left"] + x * shape[0] * facts["zoom"],
            box["y"] + facts["top"] + y * shape[1] * facts["zoom"],
        )
        for x, y in points
    ]


def drag(page: Page, start: Point, end: Point) -> None:
    (x0, y0), (x1, y1) = on_screen(page, start, end)
    page.mouse.move(x0, y0)
    page.mouse.down()
    page.mouse.move((x0 + x1) / 2, (y0 + y1) / 2)
    page.mouse.move(x1, y1)
    page.mouse.up()


def click(page: Page, *points: Point) -> None:
    for x, y in on_screen(page, *points):
        page.mouse.click(x, y)


def use(page: Page, tool: str) -> None:
    page.click(f"[data-action=tool][data-value={tool}]")


def labels(page: Page, kind: str) -> Locator:
    return page.locator(f".mark[data-kind={kind}] .label")


def kept(page: Page, dataset: FileDataset) -> list[dict[str, Any]]:
    """Return the marks the node keeps, once the page has told it all."""
    url = f"/api/v1/studies/{dataset.StudyInstanceUID}/marks"
    return list(page.request.get(url).json()["marks"])


def wait_for_kept(page: Page, dataset: FileDataset, count: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 10
    while len(found := kept(page, dataset)) != count:
        assert time.monotonic() < deadline, found
        page.wait_for_timeout(50)
    return found


def millimetres(points: Any) -> float:
    a, b = np.array(points)
    return float(np.linalg.norm((b - a) * (COLUMN_MM, ROW_MM)))


def assert_length(page: Page, dataset: FileDataset, wanted: tuple[Point, Point]) -> None:
    """One length lies where it was set, to the nearest pixel of the screen, and says the truth."""
    [mark] = wait_for_kept(page, dataset, 1)
    assert mark["kind"] == "length"
    np.testing.assert_allclose(mark["points"], wanted, atol=0.15)
    expect(labels(page, "length")).to_have_text(f"{millimetres(mark['points']):.1f} mm")
    assert millimetres(mark["points"]) == pytest.approx(millimetres(wanted), abs=0.1)


ENDS = ((10.0, 20.0), (50.0, 44.0))


def test_a_length_drawn_with_the_mouse_is_true_and_stays(
    stack: list[FileDataset], page: Page
) -> None:
    open_study(page, stack[1])
    page.keyboard.press("d")
    drag(page, *ENDS)
    assert_length(page, stack[1], ENDS)
    page.reload()
    page.wait_for_selector(f"{FRAME}[data-state=final]")
    assert_length(page, stack[1], ENDS)
    page.keyboard.press("Home")
    expect(page.locator(".mark")).to_have_count(0)
    page.keyboard.press("y")
    page.click("#marks-list [data-action=go-to-mark]")
    expect(page.locator(f'{FRAME}[data-frame="{stack[1].SOPInstanceUID}#1"]')).to_be_visible()
    expect(labels(page, "length")).to_have_count(1)


def test_two_clicks_measure_as_a_drag_does(stack: list[FileDataset], page: Page) -> None:
    open_study(page, stack[1])
    use(page, "length")
    click(page, *ENDS)
    assert_length(page, stack[1], ENDS)


def test_keys_alone_measure_by_whole_pixels(stack: list[FileDataset], page: Page) -> None:
    open_study(page, stack[1])
    page.keyboard.press("d")
    expect(page.locator(".key-cross")).to_have_count(1)
    for key in ("Shift+ArrowLeft", "ArrowUp", "ArrowUp", "Enter"):
        page.keyboard.press(key)
    for key in ("Shift+ArrowRight", "Shift+ArrowRight", "ArrowRight", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    assert_length(page, stack[1], ((22, 30), (43, 31)))
    expect(page.locator(".key-cross")).to_have_count(0)
    for key in ("w", "Enter", "ArrowDown", "ArrowDown", "ArrowDown", "Enter", "Enter"):
        page.keyboard.press(key)
    expect(labels(page, "length")).to_have_text(f"{millimetres(((22, 33), (43, 31))):.1f} mm")
    page.keyboard.press("ArrowDown")
    expect(page.locator(f'{FRAME}[data-frame="{stack[2].SOPInstanceUID}#1"]')).to_be_visible()


@pytest.fixture
def touch(browser: Browser, served: int) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": 1024, "height": 768},
        has_touch=True,
        base_url=f"http://127.0.0.1:{served}",
    )
    page = context.new_page()
    page.set_default_timeout(30_000)
    yield page
    context.close()


def finger(page: Page, *points: Point) -> None:
    """Put a finger down, draw it over the page, and lift it."""
    session = page.context.new_cdp_session(page)
    for name, point in (("touchStart", points[0]), *(("touchMove", one) for one in points[1:])):
        at = [{"x": point[0], "y": point[1]}]
        session.send("Input.dispatchTouchEvent", {"type": name, "touchPoints": at})
    # it rests before it is lifted: after a fling Chromium takes the next tap as its end
    page.wait_for_timeout(150)
    session.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": at})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    session.detach()


def test_a_finger_measures_and_moves_ends(stack: list[FileDataset], touch: Page) -> None:
    open_study(touch, stack[1])
    touch.tap("[data-action=tool][data-value=length]")
    a, b = on_screen(touch, *ENDS)
    finger(touch, a, ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2), b)
    assert_length(touch, stack[1], ENDS)
    # a finger hits within 22 px of an end
    (x, y), there = b, on_screen(touch, (30.0, 10.0))[0]
    finger(touch, (x + 14, y + 14), (x - 30, y - 30), there)
    expect(labels(touch, "length")).to_have_text(f"{millimetres((ENDS[0], (30, 10))):.1f} mm")
    touch.tap("[data-action=delete-mark]")
    wait_for_kept(touch, stack[1], 0)
    touch.tap("[data-action=tool][data-value=length]")
    for x, y in on_screen(touch, *ENDS):
        touch.touchscreen.tap(x, y)
    assert_length(touch, stack[1], ENDS)


def test_every_button_of_marks_is_large_enough_for_a_finger(
    stack: list[FileDataset], touch: Page
) -> None:
    open_study(touch, stack[1])
    touch.tap("[data-action=key-image]")
    touch.tap(".toolbar [data-action=marks]")
    expect(touch.locator("#marks-list li")).to_have_count(1)
    buttons = "[data-group=measure] button, [data-group=marks] button, #marks-panel button"
    for button in touch.locator(buttons).all():
        if box := button.bounding_box():
            assert min(box["width"], box["height"]) >= 44, button.get_attribute("aria-label")
        assert button.get_attribute("aria-label") or button.inner_text()


def test_an_end_that_was_clicked_goes_where_the_next_click_is(
    stack: list[FileDataset], page: Page
) -> None:
    open_study(page, stack[1])
    use(page, "length")
    drag(page, *ENDS)
    use(page, "window")
    click(page, (30.0, 32.0))  # on the line: choose it
    expect(page.locator(".mark[data-state=selected]")).to_have_count(1)
    click(page, ENDS[1], (20.0, 60.0))
    expect(labels(page, "length")).to_have_text(f"{millimetres((ENDS[0], (20, 60))):.1f} mm")
    drag(page, (15.0, 40.0), (25.0, 35.0))  # the line itself: the whole mark
    [mark] = wait_for_kept(page, stack[1], 1)
    expect(labels(page, "length")).to_have_text(f"{millimetres((ENDS[0], (20, 60))):.1f} mm")
    deadline = time.monotonic() + 5
    while mark["points"][0][0] < 19 and time.monotonic() < deadline:
        [mark] = kept(page, stack[1])
    np.testing.assert_allclose(mark["points"], ((20, 15), (30, 55)), atol=0.2)


def test_angles_follow_the_shape_of_pixels(stack: list[FileDataset], page: Page) -> None:
    open_study(page, stack[1])
    use(page, "angle")
    click(page, (40.0, 10.0), (10.0, 10.0), (40.0, 40.0))
    expected = np.degrees(np.arctan2(30 * ROW_MM, 30 * COLUMN_MM))
    expect(labels(page, "angle")).to_have_text(re.compile(r"\d+\.\d°"))
    assert float(str(labels(page, "angle").text_content())[:-1]) == pytest.approx(expected, abs=0.3)
    use(page, "cobb")
    drag(page, (10.0, 50.0), (40.0, 50.0))
    drag(page, (10.0, 60.0), (40.0, 30.0))
    first, second = map(float, re.findall(r"[\d.]+", str(labels(page, "cobb").text_content())))
    assert first == pytest.approx(expected, abs=0.3)
    assert first + second == pytest.approx(180, abs=0.11)


def counted(
    dataset: FileDataset, kind: str, points: NDArray[np.float64]
) -> tuple[NDArray[Any], int]:
    """Return the values in an area by numpy, and how many of its pixels are padding."""
    y, x = np.mgrid[:64, :64] + 0.5
    low, high = points.min(0), points.max(0)
    middle, half = (low + high) / 2, (high - low) / 2
    u, v = (x - middle[0]) / half[0], (y - middle[1]) / half[1]
    mask = (u * u + v * v <= 1) if kind == "ellipse" else (abs(u) <= 1) & (abs(v) <= 1)
    values = dataset.pixel_array[mask]
    return values[values != dataset.PixelPaddingValue], int((values == -1000).sum())


@pytest.mark.parametrize("kind", ["ellipse", "rectangle"])
def test_values_of_an_area_are_those_of_the_stored_file(
    keeper: Any, make_instance: Make, page: Page, kind: str
) -> None:
    ds = make_instance(RescaleType="HU", PixelSpacing=[ROW_MM, COLUMN_MM], PixelPaddingValue=-1000)
    ds["PixelPaddingValue"].VR = "SS"
    values = ds.pixel_array.copy()
    values[20:24, 20:24] = -1000
    ds.PixelData = values.tobytes()
    keeper.keep(ds)
    open_study(page, ds)
    use(page, kind)
    drag(page, (12.3, 15.7), (48.2, 50.9))
    [mark] = wait_for_kept(page, ds, 1)
    inside, padding = counted(ds, kind, np.array(mark["points"]))
    lines = labels(page, kind).locator("tspan").all_text_contents()
    assert lines[0] == f"Mean {fixed(inside.mean())} HU · SD {fixed(inside.std())}"
    assert lines[1] == f"Min {inside.min()} · Max {inside.max()}"
    wide, high = np.ptp(mark["points"], axis=0) * (COLUMN_MM, ROW_MM)
    area = wide * high * (np.pi / 4 if kind == "ellipse" else 1)
    assert lines[2] == f"Area {fixed(area)} mm²"
    assert lines[3] == f"{inside.size} px"
    assert padding == 16
    assert lines[4] == "16 px of padding not counted"
    use(page, "probe")
    click(page, (30.5, 41.5))
    expect(labels(page, "probe")).to_have_text(f"{ds.pixel_array[41, 30]} HU")


def fixed(value: float) -> str:
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def test_values_wait_for_the_full_image(stack: list[FileDataset], page: Page) -> None:
    held: list[Route] = []
    page.route("**/pixels*", lambda route: held.append(route))
    page.goto(f"/studies/{stack[1].StudyInstanceUID}")
    page.wait_for_selector(f"{FRAME}[data-state=preview]")
    use(page, "rectangle")
    drag(page, (10.0, 10.0), (30.0, 30.0))
    expect(labels(page, "rectangle")).to_have_text("Waiting for the full image")
    use(page, "length")
    drag(page, *ENDS)
    expect(labels(page, "length")).to_have_text(re.compile("mm"))
    for route in held:
        route.continue_()
    expect(labels(page, "rectangle")).to_contain_text("Mean")


def test_lengths_say_where_their_scale_comes_from(
    keeper: Any, make_instance: Make, page: Page
) -> None:
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    plain = {"Modality": "DX", "ImageOrientationPatient": None, "PixelSpacing": None}
    detector, none = (
        make_instance(1, **uids, **plain, ImagerPixelSpacing=[0.4, 0.7]),
        make_instance(2, **uids, **plain),
    )
    keeper.keep(detector, none)
    open_study(page, detector)
    use(page, "length")
    drag(page, *ENDS)
    truth = f"{millimetres(ENDS):.1f} mm · at detector"
    expect(labels(page, "length")).to_have_text(truth)
    page.keyboard.press("End")
    page.wait_for_selector(f'{FRAME}[data-frame="{none.SOPInstanceUID}#1"][data-state=final]')
    box = page.locator(FRAME).bounding_box()
    assert box
    page.mouse.click(box["x"] + 400, box["y"] + 300)
    page.mouse.click(box["x"] + 500, box["y"] + 300)
    expect(labels(page, "length")).to_have_text(re.compile(r"^[\d.]+ px · uncalibrated$"))


def test_marks_stay_on_what_they_mark(stack: list[FileDataset], page: Page) -> None:
    open_study(page, stack[1])
    use(page, "length")
    drag(page, *ENDS)
    text = labels(page, "length").text_content()
    line = page.locator(".mark polyline.over")
    for _ in range(2):
        page.click("[aria-label=Larger]")
        page.evaluate(NEXT_DRAWING)
        drawn = np.array(
            [pair.split(",") for pair in str(line.get_attribute("points")).split()], float
        )
        box = page.locator(FRAME).bounding_box()
        assert box
        there = np.array(on_screen(page, *ENDS)) - (box["x"], box["y"])
        np.testing.assert_allclose(drawn, there, atol=1.5)
        assert labels(page, "length").text_content() == text


def test_what_was_done_can_be_undone_and_done_again(stack: list[FileDataset], page: Page) -> None:
    open_study(page, stack[1])
    use(page, "length")
    drag(page, *ENDS)
    drag(page, (5.0, 5.0), (25.0, 5.0))
    wait_for_kept(page, stack[1], 2)
    page.keyboard.press("Delete")
    wait_for_kept(page, stack[1], 1)
    page.keyboard.press("Control+z")
    wait_for_kept(page, stack[1], 2)
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    wait_for_kept(page, stack[1], 0)
    expect(page.locator(".mark")).to_have_count(0)
    page.keyboard.press("Control+Shift+Z")
    page.keyboard.press("Control+Shift+Z")
    wait_for_kept(page, stack[1], 2)
    use(page, "window")
    page.keyboard.press("Escape")
    expect(page.locator(".mark")).to_have_count(0)
    wait_for_kept(page, stack[1], 0)
    expect(page.locator("#marks-notice")).to_contain_text("2 measurements taken off this image")
    page.click("#marks-notice [data-action=undo-mark]")
    expect(page.locator(".mark")).to_have_count(2)
    wait_for_kept(page, stack[1], 2)


def test_escape_gives_up_what_is_being_set_and_nothing_else(
    stack: list[FileDataset], page: Page
) -> None:
    open_study(page, stack[1])
    use(page, "length")
    drag(page, *ENDS)
    wait_for_kept(page, stack[1], 1)
    click(page, (40.0, 5.0))
    expect(page.locator(".mark[data-state=draft]")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator(".mark[data-state=draft]")).to_have_count(0)
    expect(page.locator(".mark")).to_have_count(1)
    click(page, (40.0, 5.0))
    page.mouse.wheel(0, 120)
    expect(page.locator(f'{FRAME}[data-frame="{stack[2].SOPInstanceUID}#1"]')).to_be_visible()
    expect(page.locator(".mark")).to_have_count(0)


def test_delete_takes_no_mark_that_is_not_seen(stack: list[FileDataset], page: Page) -> None:
    open_study(page, stack[1])
    use(page, "length")
    drag(page, *ENDS)
    wait_for_kept(page, stack[1], 1)
    page.keyboard.press("End")
    expect(page.locator(f'{FRAME}[data-frame="{stack[2].SOPInstanceUID}#1"]')).to_be_visible()
    expect(page.locator(".toolbar [data-action=delete-mark]")).to_be_disabled()
    page.keyboard.press("Delete")
    expect(page.locator("#marks-notice")).not_to_contain_text("deleted")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".mark")).to_have_count(1)
    page.keyboard.press("Delete")
    wait_for_kept(page, stack[1], 0)


def test_escape_leaves_the_measurements_of_others(stack: list[FileDataset], page: Page) -> None:
    open_study(page, stack[1])
    use(page, "length")
    drag(page, *ENDS)
    wait_for_kept(page, stack[1], 1)
    page.reload()
    expect(page.locator(".mark")).to_have_count(1)
    use(page, "length")
    drag(page, (5.0, 5.0), (25.0, 5.0))
    wait_for_kept(page, stack[1], 2)
    use(page, "window")
    page.keyboard.press("Escape")
    expect(page.locator("#marks-notice")).to_contain_text("1 measurement taken off this image")
    expect(page.locator(".mark")).to_have_count(1)
    wait_for_kept(page, stack[1], 1)


def refuse_reading(route: Route) -> None:
    if route.request.method == "GET":
        route.abort()
    else:
        route.fallback()


def test_two_windows_show_the_same_marks_and_never_overwrite(
    stack: list[FileDataset], page: Page
) -> None:
    open_study(page, stack[1])
    use(page, "length")
    drag(page, *ENDS)
    wait_for_kept(page, stack[1], 1)
    other = page.context.new_page()
    open_study(other, stack[1])
    expect(other.locator(".mark")).to_have_count(1)
    # the other window does not learn that the mark is gone, and moves it
    other.route("**/marks", refuse_reading)
    page.keyboard.press("Delete")
    wait_for_kept(page, stack[1], 0)
    click(other, (30.0, 32.0))
    drag(other, ENDS[1], (20.0, 60.0))
    other.unroute("**/marks", refuse_reading)
    expect(other.locator("#marks-notice")).to_contain_text("in another window")
    expect(other.locator(".mark")).to_have_count(0)
    assert kept(page, stack[1]) == []
    page.keyboard.press("Control+z")
    expect(other.locator(".mark")).to_have_count(1, timeout=8000)
    other.close()


def test_a_mark_of_another_version_is_not_shown_as_valid(
    stack: list[FileDataset], page: Page
) -> None:
    ds = stack[1]
    mark = {
        "mark_id": "0" * 32,
        "revision": 0,
        "series_instance_uid": ds.SeriesInstanceUID,
        "sop_instance_uid": ds.SOPInstanceUID,
        "frame_number": 1,
        "digest": "f" * 64,
        "kind": "length",
        "points": ENDS,
        "text": "",
    }
    url = f"/api/v1/studies/{ds.StudyInstanceUID}/marks"
    assert page.request.post(url, data=mark).ok
    open_study(page, ds)
    expect(labels(page, "length")).to_have_text("Made on another version of this image")
    expect(page.locator(".mark")).to_have_attribute("data-state", "other-version")


def test_what_is_measured_while_the_node_is_away_is_kept_when_it_is_back(
    stack: list[FileDataset], page: Page
) -> None:
    open_study(page, stack[1])
    page.context.set_offline(True)
    expect(page.locator("#link-lost")).to_be_visible(timeout=15_000)  # it moves the picture
    use(page, "length")
    drag(page, *ENDS)
    expect(labels(page, "length")).to_have_text(f"{millimetres(ENDS):.1f} mm")
    expect(page.locator("#marks-notice")).to_contain_text("Not saved yet")
    page.context.set_offline(False)
    assert_length(page, stack[1], ENDS)
    expect(page.locator("#marks-notice")).to_be_hidden()


def test_an_answer_that_was_lost_is_no_conflict(stack: list[FileDataset], page: Page) -> None:
    lost: list[str] = []

    def lose(route: Route) -> None:
        if route.request.method != "POST" or lost:
            return route.fallback()
        lost.append(route.request.url)
        page.request.post(route.request.url, data=json.loads(str(route.request.post_data)))
        return route.abort()

    open_study(page, stack[1])
    page.route("**/marks", lose)
    use(page, "length")
    drag(page, *ENDS)
    expect(page.locator("#marks-notice")).to_contain_text("Not saved yet")
    expect(page.locator("#marks-notice")).to_be_hidden(timeout=8000)
    assert lost
    assert_length(page, stack[1], ENDS)


def test_a_note_points_and_says_as_text(stack: list[FileDataset], page: Page) -> None:
    open_study(page, stack[1])
    use(page, "arrow")
    drag(page, *ENDS)
    words = "<b>Old fracture?</b>"
    page.keyboard.type(words)
    page.keyboard.press("Enter")
    expect(labels(page, "arrow")).to_have_text(words)
    page.reload()
    expect(labels(page, "arrow")).to_have_text(words)
    assert wait_for_kept(page, stack[1], 1)[0]["text"] == words


def key_objects(image: FileDataset, make_instance: Make) -> FileDataset:
    """Return a key object note on one image, in the study of it."""
    ds = make_instance(StudyInstanceUID=image.StudyInstanceUID, Modality="KO")
    del ds.PixelData, ds.Rows, ds.Columns
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = KeyObjectSelectionDocumentStorage
    reference, content, title = Dataset(), Dataset(), Dataset()
    reference.ReferencedSOPClassUID = image.SOPClassUID
    reference.ReferencedSOPInstanceUID = image.SOPInstanceUID
    content.ValueType, content.RelationshipType = "IMAGE", "CONTAINS"
    content.ReferencedSOPSequence = [reference]
    title.CodeValue, title.CodeMeaning = "113000", "Of Interest"
    ds.ConceptNameCodeSequence, ds.ContentSequence = [title], [content]
    return ds


def test_key_images_are_marked_listed_and_found(
    keeper: Any, make_instance: Make, stack: list[FileDataset], page: Page
) -> None:
    keeper.keep(key_objects(stack[0], make_instance))
    open_study(page, stack[1])
    page.keyboard.press("k")
    expect(page.locator(".tile[data-key=marked]")).to_have_count(1)
    [mark] = wait_for_kept(page, stack[1], 1)
    assert (mark["kind"], mark["sop_instance_uid"]) == ("key", stack[1].SOPInstanceUID)
    use(page, "length")
    drag(page, *ENDS)
    page.keyboard.press("y")
    expect(page.locator("#marks-list li")).to_have_count(2)
    page.click("[data-action=only-keys]")
    expect(page.locator("#marks-list li")).to_have_count(1)
    expect(page.locator("#marks-panel")).to_contain_text("1 key object note")
    expect(page.locator("#key-objects")).to_contain_text("Of Interest")
    page.click("#key-objects button")
    expect(page.locator(".tile[data-key=named]")).to_have_count(1)
    page.click("#marks-list [data-action=go-to-mark]")
    expect(page.locator(".tile[data-key=marked]")).to_have_count(1)
    page.keyboard.press("k")
    expect(page.locator(".tile[data-key=marked]")).to_have_count(0)
    wait_for_kept(page, stack[1], 1)


def test_where_measuring_is_off_there_is_no_tool_for_it(
    settings: Settings, stack: list[FileDataset], launch_web: Callable[..., Any], browser: Browser
) -> None:
    port = launch_web(settings.node.data, "web.measurements=false").port
    page = browser.new_page(base_url=f"http://127.0.0.1:{port}")
    open_study(page, stack[1])
    expect(page.locator("[data-group=measure] button")).to_have_count(0)
    page.keyboard.press("d")
    expect(page.locator(".key-cross")).to_have_count(0)
    page.keyboard.press("k")
    expect(page.locator(".tile[data-key=marked]")).to_have_count(1)
    page.keyboard.press("?")
    expect(page.locator("#keys")).not_to_contain_text("Measure")
    page.close()
