"""Scripts and styles: small on the line, never of two versions, never stale."""

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from isal import isal_zlib
from pydicom.dataset import FileDataset

from dicom_node.settings import Settings
from web.app import create_app
from web.assets import FOLDER
from web.program import program_version, version_of

PACKED = {"Accept-Encoding": "gzip"}
LARGEST_PAGE_BYTES = 150_000


def linked(html: str) -> set[str]:
    return set(re.findall(r'(?:href|src)="(/static/[^"#]+)', html))


def test_the_viewer_and_all_it_loads_weigh_little(client: FlaskClient, held: FileDataset) -> None:
    page = client.get(f"/studies/{held.StudyInstanceUID}", headers=PACKED)
    assert page.headers["Content-Encoding"] == "gzip"
    html = isal_zlib.decompress(page.data, wbits=31).decode()
    answers = {url: client.get(url, headers=PACKED) for url in linked(html)}
    assert all(answer.status_code == 200 for answer in answers.values())
    scripts = [url for url in answers if url.endswith(".js")]
    assert len(scripts) > 20
    for url, answer in answers.items():
        assert answer.headers["Content-Encoding"] == "gzip", url
    weight = len(page.data) + sum(len(answer.data) for answer in answers.values())
    assert weight <= LARGEST_PAGE_BYTES, weight


def test_every_module_is_asked_for_at_once(client: FlaskClient, held: FileDataset) -> None:
    html = client.get(f"/studies/{held.StudyInstanceUID}").text
    named = {url.rpartition("/")[2] for url in linked(html)}
    scripts = FOLDER / "js"
    for name in [name for name in named if name.endswith(".js")]:
        imported = re.findall(r'from "\./([^"]+)"', (scripts / name).read_text())
        assert set(imported) <= named, name


def test_an_address_names_its_content_and_is_kept_for_ever(client: FlaskClient) -> None:
    html = client.get("/").text
    style = next(url for url in linked(html) if url.endswith("lifeboat.css"))
    kept = client.get(style)
    assert kept.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert kept.mimetype == "text/css"
    plain = client.get("/static/css/lifeboat.css")
    assert plain.data == kept.data
    assert plain.headers["Cache-Control"] == "no-cache"
    other = re.sub("/v-[0-9a-f]+/", "/v-0123456789ab/", style)
    assert client.get(other).headers["Cache-Control"] == "no-cache", "of another version"
    assert client.get(style.replace("lifeboat.css", "nothing.css")).status_code == 404


def test_another_content_is_another_version(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text("1")
    before = version_of([tmp_path])
    assert version_of([tmp_path]) == before
    assert version_of([tmp_path], ["imagecodecs 2"]) != before
    (tmp_path / "a.js").write_text("2")
    assert version_of([tmp_path]) != before


def test_the_version_is_that_of_the_files_the_program_began_with(settings: Settings) -> None:
    program_version.cache_clear()
    create_app(settings)
    assert program_version.cache_info().currsize == 1, "an update in place would be given its name"


@pytest.mark.parametrize("accepted", ["", "identity", "gzip;q=0"])
def test_who_takes_no_gzip_gets_plain_bytes(client: FlaskClient, accepted: str) -> None:
    answer = client.get("/static/js/viewer.js", headers={"Accept-Encoding": accepted})
    assert "Content-Encoding" not in answer.headers
    assert answer.data == (FOLDER / "js" / "viewer.js").read_bytes()


def test_json_travels_packed_and_is_the_same(client: FlaskClient, held: FileDataset) -> None:
    url = f"/api/v1/studies/{held.StudyInstanceUID}"
    plain, packed = client.get(url), client.get(url, headers=PACKED)
    assert "Content-Encoding" not in plain.headers
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert isal_zlib.decompress(packed.data, wbits=31) == plain.data
