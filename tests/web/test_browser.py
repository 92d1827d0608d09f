"""The pages in a real browser: what is drawn, whose it is, and what is never drawn."""

import base64
import re
import secrets
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page, Route, expect
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid

from dicom_node.index import IndexReader
from dicom_node.ledger import LedgerReader, State
from dicom_node.setting_tables import NodeSettings, WebSettings
from dicom_node.settings import Settings
from web.program import program_version

pytestmark = pytest.mark.browser

Make = Callable[..., FileDataset]
PIXELS = """(canvas, [width, height]) => {
    const { left, top } = canvas.dataset;
    const { data } = canvas.getContext("2d").getImageData(Number(left), Number(top), width, height);
    return [btoa(String.fromCharCode(...data)), { ...canvas.dataset }];
}"""
IS_BLACK = """canvas => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return new Uint32Array(data.buffer).every(pixel => pixel === 0xff000000);
}"""
NEXT_DRAWING = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    data = tmp_path_factory.mktemp("browser") / "data"
    data.mkdir()
    return Settings(node=NodeSettings(data=data), web=WebSettings(quiet_after_s=30.0))


@pytest.fixture(scope="module")
def keeper(settings: Settings, make_keeper: Callable[..., Any]) -> Any:
    """One node for all tests of this file: each brings a patient of its own."""
    return make_keeper(settings.node.data)


@pytest.fixture(scope="module")
def served(settings: Settings, keeper: Any, launch_web: Callable[..., Any]) -> int:
    return int(launch_web(settings.node.data).port)


@pytest.fixture
def stack(keeper: Any, make_instance: Make) -> list[FileDataset]:
    """A CT of seven slices, of a new patient among others."""
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    who = {
        "PatientName": f"MEREDITH^Owen {secrets.token_hex(4)}",
        "PatientID": secrets.token_hex(6),
    }
    slices = [make_instance(n, **uids, **who, RescaleType="HU") for n in range(1, 8)]
    keeper.keep(make_instance(PatientName="OTHER^Olga"), *slices, make_instance())
    return slices


def grey_levels(stored: NDArray[Any], center: float, width: float) -> NDArray[np.uint8]:
    """The linear window of PS3.3 C.11.2.1.2.1 in plain float64."""
    x = stored.astype(np.float64)
    y = (x - (center - 0.5)) * 255 / (width - 1) + 127.5
    return np.floor(np.clip(y, 0, 255) + 0.5).astype(np.uint8)


def open_study(page: Page, dataset: FileDataset) -> None:
    page.goto(f"/studies/{dataset.StudyInstanceUID}")
    page.wait_for_selector("[data-field=frame][data-state=final]")


def wait_for_frame(page: Page, dataset: FileDataset) -> None:
    page.wait_for_selector(
        f'[data-field=frame][data-frame="{dataset.SOPInstanceUID}#1"][data-state=final]'
    )


def drawn(
    page: Page, rows: int = 64, columns: int = 64
) -> tuple[NDArray[np.uint8], dict[str, str]]:
    """Return the frame as it lies on the canvas, and what the canvas says of itself."""
    page.evaluate(NEXT_DRAWING)
    text, facts = page.eval_on_selector("[data-field=frame]", PIXELS, [columns, rows])
    rgba = np.frombuffer(base64.b64decode(text), np.uint8).reshape(rows, columns, 4)
    return rgba[..., :3], facts


def assert_drawn(page: Page, dataset: FileDataset, center: float, width: float) -> None:
    """Every pixel of the frame, one to one on the canvas, has the level of the formula."""
    shown, facts = drawn(page)
    assert facts["frame"] == f"{dataset.SOPInstanceUID}#1"
    assert facts["zoom"] == "1"
    expected = grey_levels(dataset.pixel_array, center, width)
    np.testing.assert_array_equal(shown, np.repeat(expected[..., None], 3, axis=2))


def window_text(page: Page) -> tuple[float, float]:
    """Return center and width as they are shown."""
    match = re.search(r"W ([\d.]+)\s+L (-?[\d.]+)", page.inner_text("[data-field=text-window]"))
    assert match, page.inner_text("[data-field=text-window]")
    return float(match[2]), float(match[1])


def test_a_surgeon_finds_the_patient_and_sees_the_right_grey_levels(
    stack: list[FileDataset], page: Page
) -> None:
    page.goto("/")
    token = str(stack[0].PatientName).split()[-1]
    page.fill("input[name=text]", f"owen mered {token[:6]}")
    expect(page.locator("#studies .study")).to_have_count(1)
    assert page.inner_text(".study .name") == f"MEREDITH, Owen {token}"
    page.click(".study .name")

    wait_for_frame(page, stack[3])
    assert page.inner_text("#patient-name") == f"MEREDITH, Owen {token}"
    assert page.inner_text("#patient-id") == stack[0].PatientID
    assert page.inner_text("[data-field=text-slice]") == "Image 4 of 7"
    assert [
        page.inner_text(f"[data-field=edge-{edge}]") for edge in ("left", "top", "right", "bottom")
    ] == [*"RALP"]
    page.click("text=1:1")
    assert_drawn(page, stack[3], 40, 400)

    page.hover("[data-field=frame]")
    page.mouse.wheel(0, 120)
    wait_for_frame(page, stack[4])
    assert_drawn(page, stack[4], 40, 400)
    page.keyboard.press("ArrowUp")
    wait_for_frame(page, stack[3])
    page.mouse.wheel(0, 24)
    wait_for_frame(page, stack[4])
    assert_drawn(page, stack[4], 40, 400)


def test_the_picture_is_there_before_any_script_and_then_taken_over_as_it_is(
    stack: list[FileDataset], page: Page
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.route("**/*.js", lambda route: None)  # no script comes
    seen = stack[len(stack) // 2]
    page.goto(f"/studies/{seen.StudyInstanceUID}", wait_until="commit")
    picture = page.locator("img.first-picture")
    expect(picture).to_be_visible()
    assert (
        picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == seen.Columns
    )
    name = page.locator('[data-field="corner-name"]').first.text_content()
    assert name
    assert name == page.locator("#patient-name").text_content()
    places = """() => [".tile", ".corner.top.left", ".corner.top.right", ".banner", ".toolbar"]
        .map((one) => JSON.stringify(document.querySelector(one).getBoundingClientRect()))"""
    before = page.evaluate(places)
    assert asked[0] == page.url
    scripts = [at for at, url in enumerate(asked) if url.endswith(".js")]
    before_them = asked[1 : scripts[0]] if scripts else asked[1:]
    assert all(url.endswith(".svg") for url in before_them), before_them
    page.unroute("**/*.js")
    page.reload()
    wait_for_frame(page, seen)
    expect(picture).to_have_count(0)
    assert page.evaluate(places) == before
    assert not any(f"{seen.SOPInstanceUID}/frames/1/preview" in url for url in asked)


def test_dragging_windows_by_the_formula(stack: list[FileDataset], page: Page) -> None:
    open_study(page, stack[0])
    page.click("text=1:1")
    box = page.locator("[data-field=frame]").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y - 30, steps=4)
    page.mouse.up()
    center, width = window_text(page)
    assert width > 400, "to the right is wider"
    assert center < 40, "upwards is brighter"
    assert_drawn(page, stack[3], center, width)
    page.keyboard.press("ArrowDown")
    wait_for_frame(page, stack[4])
    assert_drawn(page, stack[4], center, width)


def test_presets_inversion_and_reset(stack: list[FileDataset], page: Page) -> None:
    open_study(page, stack[0])
    page.click("text=1:1")
    page.keyboard.press("5")
    assert window_text(page) == (-600, 1500)
    assert_drawn(page, stack[3], -600, 1500)
    before, _ = drawn(page)
    page.keyboard.press("n")
    np.testing.assert_array_equal(drawn(page)[0], 255 - before)
    page.keyboard.press("ArrowDown")
    wait_for_frame(page, stack[4])
    page.keyboard.press("Escape")
    assert window_text(page) == (40, 400)
    assert "inverted" not in page.inner_text("[data-field=text-window]")
    assert page.inner_text("[data-field=text-slice]") == "Image 5 of 7", "the slice stays"
    page.click("text=1:1")
    assert_drawn(page, stack[4], 40, 400)


def test_every_drag_has_a_button_and_a_key(stack: list[FileDataset], page: Page) -> None:
    open_study(page, stack[0])
    center, width = window_text(page)
    page.click("[aria-label=Brighter]")
    assert window_text(page)[0] < center
    page.click("[aria-label='Less contrast']")
    assert window_text(page)[1] > width
    _, facts = drawn(page)
    page.click("[aria-label=Larger]")
    assert float(drawn(page)[1]["zoom"]) > float(facts["zoom"])
    page.click("[aria-label='Next image']")
    wait_for_frame(page, stack[4])
    page.keyboard.press("Home")
    wait_for_frame(page, stack[0])
    page.keyboard.press("End")
    wait_for_frame(page, stack[6])
    for key, tool in zip("SZTW", ("scroll", "zoom", "pan", "window"), strict=True):
        page.keyboard.press(key)
        pressed = page.locator(".toolbar [data-action=tool][aria-pressed=true]")
        assert pressed.get_attribute("data-value") == tool
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()


def test_a_late_answer_is_never_drawn(stack: list[FileDataset], page: Page) -> None:
    held: list[Route] = []
    late, wanted = stack[1], stack[2]
    address = f"**/{late.SOPInstanceUID}/frames/1/p*"
    keep = [held.append]
    page.route(address, lambda route: keep[0](route))
    open_study(page, stack[0])
    page.click("text=1:1")
    page.keyboard.press("Home")
    wait_for_frame(page, stack[0])
    page.keyboard.press("ArrowDown")
    expect(page.locator("[data-field=frame]")).to_have_attribute("data-state", "loading")
    page.keyboard.press("ArrowDown")
    wait_for_frame(page, wanted)
    keep[0] = Route.continue_
    with page.expect_response(address) as arrival:
        for route in held:
            route.continue_()
    arrival.value.finished()
    assert_drawn(page, wanted, 40, 400)
    assert page.inner_text("[data-field=text-slice]") == "Image 3 of 7"
    page.keyboard.press("ArrowUp")
    wait_for_frame(page, late)
    assert_drawn(page, late, 40, 400)


def test_an_answer_of_another_image_is_refused(stack: list[FileDataset], page: Page) -> None:
    wrong, other = stack[4], stack[1]

    def answer_with_other(route: Route) -> None:
        url = route.request.url.replace(wrong.SOPInstanceUID, other.SOPInstanceUID).split("?")[0]
        route.fulfill(response=page.request.get(url))

    page.route(f"**/{wrong.SOPInstanceUID}/frames/1/*", answer_with_other)
    open_study(page, stack[0])
    page.keyboard.press("ArrowDown")
    expect(page.locator("[data-field=refusal-title]")).to_have_text("This image was not drawn")
    page.evaluate(NEXT_DRAWING)
    assert page.eval_on_selector("[data-field=frame]", IS_BLACK)
    assert page.get_attribute("[data-field=frame]", "data-state") == "refused"
    page.keyboard.press("ArrowDown")
    wait_for_frame(page, stack[5])
    expect(page.locator("[data-field=refusal]")).to_be_hidden()
    page.unroute_all(behavior="ignoreErrors")  # what is loaded ahead may still be on its way


def test_banner_and_pixels_are_of_one_patient(keeper: Any, make_instance: Make, page: Page) -> None:
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    ours, theirs = (
        make_instance(n, **uids, PatientName=name, PatientID=name)
        for n, name in ((1, "OURS^A"), (2, "THEIRS^B"))
    )
    keeper.keep(ours, theirs)
    open_study(page, ours)
    expect(page.locator('[data-field="conflict"]')).to_contain_text("different patients")
    page.click("text=1:1")
    for key, dataset in (("End", theirs), ("Home", ours), ("End", theirs)):
        page.keyboard.press(key)
        wait_for_frame(page, dataset)
        family = dataset.PatientID.split("^")[0]
        assert page.inner_text("#patient-name").startswith(family)
        assert page.inner_text("[data-field=corner-name]").startswith(family)
        assert_drawn(page, dataset, 40, 400)


def test_new_images_join_while_the_viewed_one_stays(
    keeper: Any, stack: list[FileDataset], make_instance: Make, page: Page
) -> None:
    open_study(page, stack[0])
    page.keyboard.press("End")
    wait_for_frame(page, stack[6])
    keeper.keep(
        *(
            make_instance(
                n,
                StudyInstanceUID=stack[0].StudyInstanceUID,
                SeriesInstanceUID=stack[0].SeriesInstanceUID,
                PatientName=stack[0].PatientName,
                PatientID=stack[0].PatientID,
            )
            for n in (0, 8, 9)
        )
    )
    expect(page.locator("[data-field=text-slice]")).to_have_text("Image 8 of 10")
    assert drawn(page)[1]["frame"] == f"{stack[6].SOPInstanceUID}#1"
    expect(page.locator("#strip")).to_contain_text("10 images")


def test_names_of_patients_are_text_and_not_in_addresses(
    keeper: Any, make_instance: Make, page: Page
) -> None:
    name, number = "<script>alert(7)</script>", '"><img src=x onerror="alert(7)">'
    keeper.keep(make_instance(PatientName=name, PatientID=number, StudyDescription=number))
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    page.goto("/")
    page.fill("input[name=text]", "onerror")
    expect(page.locator("#studies .study")).to_have_count(1)
    assert page.inner_text(".study .name") == name.upper()
    page.click(".study .name")
    page.wait_for_selector("[data-field=frame][data-state=final]")
    assert page.inner_text("#patient-name") == name.upper()
    assert page.inner_text("#patient-id") == number
    assert page.locator("img[src=x]").count() == 0
    assert not any("onerror" in address or "alert" in address for address in addresses)
    assert "alert" not in page.title()


def test_one_bad_image_leaves_the_others_usable(
    keeper: Any, make_instance: Make, page: Page
) -> None:
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    good, bad, after = (make_instance(n, **uids, Modality="CR") for n in (1, 2, 3))
    bad.PixelData = bad.PixelData[:64]
    keeper.keep(good, bad, after)
    open_study(page, good)
    page.keyboard.press("ArrowDown")
    expect(page.locator("[data-field=refusal-title]")).to_have_text(
        "This image cannot be shown here"
    )
    assert len(page.inner_text("[data-field=refusal-words]")) > 20
    assert page.inner_text("#patient-name") == "PHANTOM, Test", "whose it is stays known"
    page.keyboard.press("ArrowDown")
    wait_for_frame(page, after)


def test_when_the_node_is_gone_loaded_images_stay_usable(
    stack: list[FileDataset], page: Page
) -> None:
    open_study(page, stack[0])
    page.keyboard.press("Home")
    page.wait_for_load_state("networkidle")
    page.context.set_offline(True)
    expect(page.locator("#link-lost")).to_contain_text("lost at")
    page.keyboard.press("ArrowDown")
    wait_for_frame(page, stack[1])
    page.keyboard.press("4")
    assert window_text(page) == (400, 1800)
    page.context.set_offline(False)
    expect(page.locator("#link-lost")).to_be_hidden(timeout=8000)


def test_frames_of_colour_are_drawn_as_they_are(
    keeper: Any, make_instance: Make, page: Page
) -> None:
    rgb = np.random.default_rng(5).integers(0, 255, (3, 40, 50, 3), dtype=np.uint8)
    dataset = make_instance(
        Modality="US", NumberOfFrames=3, Rows=40, Columns=50, SamplesPerPixel=3,
        PhotometricInterpretation="RGB", BitsAllocated=8, BitsStored=8, HighBit=7,
        PixelRepresentation=0, PlanarConfiguration=0,
    )  # fmt: skip
    dataset.PixelData = rgb.tobytes()
    keeper.keep(dataset)
    open_study(page, dataset)
    page.click("text=1:1")
    page.keyboard.press("ArrowDown")
    page.wait_for_selector(f'[data-field=frame][data-frame="{dataset.SOPInstanceUID}#2"]')
    assert page.inner_text("[data-field=text-slice]") == "Frame 2 of 3"
    np.testing.assert_array_equal(drawn(page, 40, 50)[0], rgb[1])


def test_the_return_to_the_pacs_is_watched(
    keeper: Any, stack: list[FileDataset], make_ledger: Callable[..., Any], clock: Any, page: Page
) -> None:
    ledger = make_ledger("central")
    index = IndexReader(keeper.data / "index.sqlite")
    reader = LedgerReader(keeper.data / "ledger.sqlite")
    now = clock().isoformat()
    records = index.instances(stack[0].StudyInstanceUID)
    ledger.record_probe("central", is_reachable=False, detail="no answer", now=now)
    ledger.enqueue(records, ["central"], data=keeper.data, now=now, marks={})
    page.goto("/sync")
    expect(page.locator("#destinations")).to_contain_text("Unreachable")
    expect(page.locator("#studies .chip")).to_have_text("Waiting for PACS · 0 of 7")
    ids = [item.delivery_id for item in reader.deliveries(stack[0].StudyInstanceUID)]
    ledger.record_probe("central", is_reachable=True, detail="it answers", now=now)
    proven = {"stored_at": now, "proven_at": now, "proof": "commitment"}
    ledger.update(ids, expected=State.QUEUED, state=State.PROVEN, **proven)
    expect(page.locator("#studies .chip")).to_have_text("Proven 7 of 7")
    expect(page.locator("#destinations")).to_contain_text("Reachable")
    expect(page.locator("#studies")).to_contain_text("storage commitment")
    index.close()
    reader.close()


def test_every_kept_picture_names_the_program_that_drew_it_and_is_asked_for_once(
    page: Page, served: int, stack: list[FileDataset]
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_study(page, stack[0])
    page.wait_for_selector("img[src*=thumbnail]")
    named = [url for url in asked if re.search(r"[?&]v=", url)]
    kinds = {kind for url in named for kind in ("preview", "pixels", "thumbnail") if kind in url}
    assert kinds >= {"pixels", "thumbnail"}
    ends = re.compile(rf"[?&]v=[0-9a-f]{{16}}-{program_version()}(&|$)")
    assert all(ends.search(url) for url in named), named
    previews = [url for url in named if "/preview?" in url]
    assert len(previews) == len(set(previews))
