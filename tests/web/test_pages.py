from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

from flask.testing import FlaskClient
from pydicom.dataset import FileDataset

from dicom_node.setting_tables import DicomSettings
from dicom_node.settings import Settings
from web.app import create_app


class Reader(HTMLParser):
    """Collects addresses and shown text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.depth_of_template = 0
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.depth_of_template += tag == "template"
        if not self.depth_of_template:
            self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_endtag(self, tag: str) -> None:
        self.depth_of_template -= tag == "template"

    def handle_data(self, data: str) -> None:
        if not self.depth_of_template:
            self.text += f" {data.strip()}"


def test_the_board_lists_studies_without_scripts(client: FlaskClient, held: FileDataset) -> None:
    page = Reader(client.get("/").text)
    assert "PHANTOM, Test" in page.text
    assert "Receiving" in page.text
    assert f"/studies/{held.StudyInstanceUID}" in page.addresses


def test_everything_a_page_names_is_there(client: FlaskClient, held: FileDataset) -> None:
    for path in ("/", "/sync", f"/studies/{held.StudyInstanceUID}"):
        for address in Reader(client.get(path).text).addresses:
            if address and not address.startswith(("#", "data:")):
                assert client.get(address, buffered=True).status_code == 200, address


def test_an_empty_node_tells_how_to_connect_a_scanner(settings: Settings) -> None:
    dicom = DicomSettings(ae_title="ICU-BOAT", host="10.1.2.3", port=4242)
    client = create_app(replace(settings, dicom=dicom)).test_client()
    text = Reader(client.get("/").text).text
    assert "ICU-BOAT" in text
    assert "10.1.2.3" in text
    assert "4242" in text


def test_the_viewer_shows_pictures_without_scripts(client: FlaskClient, held: FileDataset) -> None:
    viewer = Reader(client.get(f"/studies/{held.StudyInstanceUID}").text)
    [plain] = [address for address in viewer.addresses if address.endswith("/plain")]
    page = Reader(client.get(plain).text)
    [picture] = [address for address in page.addresses if "viewport=" in address]
    assert client.get(picture).mimetype == "image/jpeg"
    assert "not for primary diagnosis" in page.text
    assert "fallback copy" in page.text


def test_no_title_and_no_address_names_a_patient(
    client: FlaskClient, keeper, make_instance: Callable[..., FileDataset]
) -> None:
    dataset = make_instance(PatientName="SECRET^NAME", PatientID="SECRET-ID")
    keeper.keep(dataset)
    for path in ("/", f"/studies/{dataset.StudyInstanceUID}", "/sync"):
        page = client.get(path).text
        assert "SECRET" not in page.split("</title>")[0]
        assert not any("SECRET" in address for address in Reader(page).addresses)


def test_a_study_that_is_not_here_points_to_the_pacs(client: FlaskClient) -> None:
    answer = client.get("/studies/1.2.3")
    assert answer.status_code == 404
    assert "The PACS may" in answer.text


def test_trouble_with_the_disk_stands_on_every_page(
    client: FlaskClient, settings: Settings, held: FileDataset
) -> None:
    note = settings.node.data / "trouble.json"
    note.write_text('{"since": "2026-01-02T03:04:05", "reason": "x"}')
    for page in ("/", "/sync", f"/studies/{held.StudyInstanceUID}"):
        assert "not taken safely since 2026-01-02 03:04 UTC" in client.get(page).text
    assert client.get("/healthz").get_json()["degraded"]
