"""The picture in the page of a study: whose it is, that it is of now, and what stays out."""

import json
import re
from base64 import b64decode
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import generate_uid

from web import first_picture, pages

Make = Callable[..., FileDataset]
Address = Callable[[Dataset], str]


def written(html: str, name: str) -> Any:
    found = re.findall(f'<script type="application/json" id="{name}">(.*?)</script>', html, re.S)
    return json.loads(found[0]) if found else None


def jpeg_in(html: str) -> bytes:
    [found] = re.findall(
        r'<img class="first-picture"[^>]* src="data:image/jpeg;base64,([^"]+)"', html
    )
    return b64decode(found)


def field(html: str, name: str) -> str:
    return unescape(re.findall(rf'(?:data-field|id)="{name}"[^>]*>([^<]*)<', html)[0])


def page_of(client: FlaskClient, dataset: Dataset) -> str:
    """Return the page without the styles that stand in it."""
    html = client.get(f"/studies/{dataset.StudyInstanceUID}").text
    return re.sub("<style>.*?</style>", "", html, flags=re.S)


def test_picture_info_and_words_of_a_page_are_the_previews_own(
    client: FlaskClient, held: FileDataset, address: Address
) -> None:
    html = page_of(client, held)
    asked = client.get(f"/api/v1{address(held)}/frames/1/preview")
    length = int(asked.headers["X-Info-Length"])
    info = json.loads(asked.data[:length])
    came = written(html, "first-answer")
    assert came["info"] == info
    assert came["correction_id"] == ""
    assert jpeg_in(html) == asked.data[length:]
    display = info["display"]
    said = {
        "patient-name": display["name"],
        "patient-id": display["patient_id"],
        "patient-born": display["born"],
        "study-accession": display["accession"],
        "corner-name": display["name"],
        "corner-id": f"{display['patient_id_label']} {display['patient_id']}",
        "corner-series": display["series"],
        "text-slice": "Image 1 of 1",
    }
    assert {name: field(html, name) for name in said} == said
    assert f"<span data-words>{display['preview']}</span>" in html


def test_a_stack_shows_its_middle_and_what_it_lacks(
    client: FlaskClient, keeper: Any, make_instance: Make
) -> None:
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    stack = [make_instance(n, **uids) for n in (1, 2, 3, 4, 5, 7, 8)]
    keeper.keep(*reversed(stack))
    html = page_of(client, stack[0])
    study = written(html, "study-answer")["study"]
    [series] = study["series"]
    seen = series["instances"][series["opens_at"]]
    info = written(html, "first-answer")["info"]
    assert seen["sop_instance_uid"] == info["sop_instance_uid"] == stack[3].SOPInstanceUID
    assert written(html, "first-answer")["digest"] == seen["digest"]
    assert field(html, "text-slice") == "Image 4 of 7"
    assert field(html, "text-warning") == " · ".join(series["warnings"]) != ""


def test_a_page_with_a_picture_is_never_kept(client: FlaskClient, held: FileDataset) -> None:
    answer = client.get(f"/studies/{held.StudyInstanceUID}")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "ETag" not in answer.headers
    policy = answer.headers["Content-Security-Policy"]
    assert "img-src 'self' blob: data:;" in policy
    assert "unsafe" not in policy
    assert "data:" not in client.get("/").headers["Content-Security-Policy"]


def test_no_text_of_a_file_ends_the_element_it_stands_in(
    client: FlaskClient, keeper: Any, make_instance: Make
) -> None:
    evil = "</script><script>alert(1)</script>"
    named = make_instance(PatientName=evil, SeriesDescription=evil, StudyDescription=evil)
    keeper.keep(named)
    html = page_of(client, named)
    assert evil not in html
    assert evil in written(html, "first-answer")["info"]["display"]["series"]
    assert evil in written(html, "study-answer")["study"]["series"][0]["title"]


def test_what_must_be_decoded_first_does_not_hold_up_the_page(
    client: FlaskClient, keeper: Any, address: Address
) -> None:
    path = Path(get_testdata_file("MR_small_jp2klossless.dcm"))
    keeper.keep_file(path)
    compressed = dcmread(path)
    assert written(page_of(client, compressed), "first-answer") is None
    asked = client.get(f"/api/v1{address(compressed)}/frames/1/preview")
    html = page_of(client, compressed)
    assert jpeg_in(html) == asked.data[int(asked.headers["X-Info-Length"]) :]


def test_a_damaged_picture_stays_out_and_its_page_comes(
    client: FlaskClient, keeper: Any, make_instance: Make
) -> None:
    damaged = make_instance()
    damaged.PixelData = damaged.PixelData[:64]
    keeper.keep(damaged)
    html = page_of(client, damaged)
    assert "first-picture" not in html
    assert written(html, "first-answer") is None
    assert re.search(r'rel="preload" as="fetch" crossorigin href="[^"]+/preview', html)


def test_a_long_list_is_asked_for_apart(
    client: FlaskClient, held: FileDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "LONGEST_LIST", 100)
    html = page_of(client, held)
    assert written(html, "study-answer") is None
    assert (
        f'rel="preload" as="fetch" crossorigin href="/api/v1/studies/{held.StudyInstanceUID}"'
        in html
    )


def test_a_fault_of_one_picture_leaves_the_page_as_it_was_without(
    client: FlaskClient,
    held: FileDataset,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No file is known that does this; it stands for those that nobody has met."""

    def fails(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(first_picture, "preview_of", fails)
    html = page_of(client, held)
    assert written(html, "first-answer") is None
    assert written(html, "study-answer")["study"]["series"]
    assert "first_picture_failed" in caplog.text


def test_a_picture_too_large_for_a_page_comes_by_itself(
    client: FlaskClient, keeper: Any, make_instance: Make, address: Address
) -> None:
    noise = np.random.default_rng(2).integers(0, 256, (1024, 1024, 3), np.uint8)
    large = make_instance(
        Rows=1024, Columns=1024, SamplesPerPixel=3, PhotometricInterpretation="RGB",
        PlanarConfiguration=0, BitsAllocated=8, BitsStored=8, HighBit=7, PixelRepresentation=0,
        PixelData=noise.tobytes(),
    )  # fmt: skip
    keeper.keep(large)
    assert written(page_of(client, large), "first-answer") is None
    asked = client.get(f"/api/v1{address(large)}/frames/1/preview")
    assert len(asked.data) > first_picture.LARGEST_JPEG_BYTES
