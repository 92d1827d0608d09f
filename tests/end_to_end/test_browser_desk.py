"""A person sets a missing accession and a temporary patient right, and sees it proven in the PACS.

With LIFEBOAT_SCREENSHOTS=FOLDER the pictures of the pages are written there.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from sample_data.scanner import send_files

pytestmark = [pytest.mark.browser, pytest.mark.peer, pytest.mark.timeout(180)]


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1400, "height": 1000})
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    yield opened
    opened.close()
    assert problems == []


def picture(page: Page, name: str) -> None:
    folder = os.environ.get("LIFEBOAT_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"desk-{name}.png", full_page=True)


def stored_files(data: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (data / "instances").rglob("*.dcm")}


def correct(page: Page, board: str) -> None:
    """Correct the only study there is, as a person does."""
    page.goto(f"{board}reconcile")
    expect(page.get_by_text("Temporary patient ID")).to_be_visible()
    picture(page, "work")
    page.get_by_role("link", name="EMERGENCY, Unknown").click()
    page.get_by_label("Name", exact=True).fill("MÜLLER^JÖRG")
    page.get_by_label("Patient ID").fill("PH-2")
    page.get_by_label("Accession").fill("ACC9")
    picture(page, "study")
    page.get_by_role("button", name="Preview").click()
    page.locator("[name=retyped_patient_id]").fill("PH-2")
    page.get_by_label("Your name").fill("A. Smith")
    page.get_by_label("Reason").fill("the worklist was down")
    picture(page, "preview")
    page.get_by_role("button", name="Confirm the correction").click()
    expect(page.get_by_text("In force").first).to_be_visible()
    picture(page, "in-force")


def test_a_correction_goes_all_the_way_to_the_pacs(
    make_node, make_orthanc, make_series, free_ports, page, wait
):
    pacs_ports = free_ports(2)
    settings = ("pacs.host=127.0.0.1", f"pacs.port={pacs_ports[0]}", "pacs.ae_title=ORTHANC")
    node = make_node(*settings, "pacs.connect_timeout_s=2", "sync.probe_interval_s=0.5")
    orthanc = make_orthanc(node.dicom_port, pacs_ports)
    node.start("run")
    temporary = {"PatientName": "EMERGENCY^UNKNOWN", "PatientID": "TMP-1", "AccessionNumber": ""}
    paths = make_series(3, **temporary, SpecificCharacterSet="ISO_IR 100")
    outcomes = send_files(paths, host="127.0.0.1", port=node.dicom_port)
    assert {item.status for item in outcomes} == {0}
    wait(lambda: node.get_json("/healthz")["instances"] == 3)
    before = stored_files(node.data)
    board = f"http://127.0.0.1:{node.web_port}/"
    correct(page, board)

    # the board and the viewer show it at once, with its mark
    page.goto(board)
    page.get_by_role("link", name="MÜLLER, Jörg").click()
    page.wait_for_selector("[data-field=frame][data-state=final]")
    expect(page.locator("#patient-name")).to_have_text("MÜLLER, Jörg")
    expect(page.locator("[data-field=corner-corrected]").first).to_contain_text(
        "was EMERGENCY, Unknown"
    )
    picture(page, "viewer")

    # the PACS is back: it has the corrected identity, and the record of what was changed
    orthanc.start()
    page.goto(f"{board}sync")
    expect(page.get_by_text("All 3 images returned and proven").first).to_be_visible(timeout=60_000)
    (study,) = orthanc.get("/studies?expand")
    assert study["MainDicomTags"]["AccessionNumber"] == "ACC9"
    assert study["PatientMainDicomTags"]["PatientID"] == "PH-2"
    assert study["PatientMainDicomTags"]["PatientName"] == "MÜLLER^JÖRG"
    instance = orthanc.get("/instances")[0]
    tags = orthanc.get(f"/instances/{instance}/tags?simplify")
    (original,) = tags["OriginalAttributesSequence"]
    assert original["ModifiedAttributesSequence"][0]["PatientID"] == "TMP-1"
    assert original["ReasonForTheAttributeModification"] == "CORRECT"
    assert tags["ContributingEquipmentSequence"][0]["OperatorsName"] == "A. Smith"
    assert stored_files(node.data) == before

    # now it can no longer be undone here, and the page says what to do instead
    page.goto(f"{board}reconcile")
    page.get_by_role("link", name="Name: EMERGENCY").click()
    page.get_by_label("Your name").fill("A. Smith")
    page.get_by_label("Reason").fill("a mistake")
    page.get_by_role("button", name="Undo the correction").click()
    expect(page.get_by_role("alert")).to_contain_text("under new UIDs")
    picture(page, "refused")

    # and the PACS, asked for this study, says that it is the same
    page.goto(f"{board}reconcile/studies/{study['MainDicomTags']['StudyInstanceUID']}")
    page.get_by_role("button", name="Ask PACS and worklist").click()
    expect(page.locator("[data-field=said]")).to_contain_text("under the same identity")
    picture(page, "asked")
