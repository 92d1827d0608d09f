"""The first picture of a frame: info and JPEG in one answer, and the page that asks for it."""

import json
import re
from collections.abc import Callable
from io import BytesIO
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from pydicom.dataset import Dataset, FileDataset

from web.preview import preview_address

Make = Callable[..., FileDataset]
Address = Callable[[Dataset], str]


def parts(answer: Any) -> tuple[dict[str, Any], bytes]:
    length = int(answer.headers["X-Info-Length"])
    return json.loads(answer.data[:length]), answer.data[length:]


def test_info_and_picture_are_of_one_frame(
    client: FlaskClient, held: FileDataset, address: Address
) -> None:
    url = f"/api/v1{address(held)}/frames/1"
    answer = client.get(f"{url}/preview")
    info, jpeg = parts(answer)
    assert answer.headers["X-Frame"] == f"{held.SOPInstanceUID}#1"
    assert info == client.get(f"{url}/info").json
    picture = Image.open(BytesIO(jpeg))
    assert picture.format == "JPEG"
    assert picture.size == (held.Columns, held.Rows)


def test_a_large_frame_becomes_small(
    client: FlaskClient, keeper: Any, make_instance: Make, address: Address
) -> None:
    large = make_instance(Rows=3000, Columns=2000, PixelData=bytes(2 * 3000 * 2000))
    keeper.keep(large)
    info, jpeg = parts(client.get(f"/api/v1{address(large)}/frames/1/preview"))
    assert (info["rows"], info["columns"]) == (3000, 2000)
    assert Image.open(BytesIO(jpeg)).size == (683, 1024)


def test_what_has_no_picture_says_why(
    client: FlaskClient, keeper: Any, make_instance: Make, address: Address
) -> None:
    damaged = make_instance()
    damaged.PixelData = damaged.PixelData[:64]
    keeper.keep(damaged)
    info, jpeg = parts(client.get(f"/api/v1{address(damaged)}/frames/1/preview"))
    assert jpeg == b""
    assert info["kind"] == "none"
    assert len(info["reason"]["message"]) > 20
    assert info["display"]["name"]


def test_a_frame_that_is_not_there_is_refused(
    client: FlaskClient, held: FileDataset, address: Address
) -> None:
    assert client.get(f"/api/v1{address(held)}/frames/2/preview").status_code == 404


def test_an_address_with_the_digest_is_kept_and_another_one_is_refused(
    app: Flask, client: FlaskClient, held: FileDataset
) -> None:
    [record] = app.extensions["lifeboat"].index.instances(held.StudyInstanceUID)
    first = preview_address(record, 1, "")
    answer = client.get(first)
    assert "immutable" in answer.headers["Cache-Control"]
    assert "private" in answer.headers["Cache-Control"]
    assert client.get(first, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    assert client.get(re.sub(r"v=.*", "v=" + "0" * 16, first)).status_code == 404


def test_other_studies_of_a_patient_are_those_of_one_id_and_issuer(
    client: FlaskClient, keeper: Any, make_instance: Make
) -> None:
    ours, prior, like, foreign, nameless, unknown = (
        make_instance(**who)
        for who in (
            {"PatientID": "7*"},
            {"PatientID": "7*"},
            {"PatientID": "71"},
            {"PatientID": "7*", "IssuerOfPatientID": "ELSEWHERE"},
            {"PatientID": ""},
            {"PatientID": ""},
        )
    )
    keeper.keep(ours, prior, like, foreign, nameless, unknown)

    def others(dataset: Dataset) -> list[str]:
        answer = client.get(f"/api/v1/studies/{dataset.StudyInstanceUID}/others")
        return [study["study_instance_uid"] for study in answer.json["studies"]]

    assert others(ours) == [prior.StudyInstanceUID]
    assert others(nameless) == []
    assert client.get("/api/v1/studies/1.2.3/others").status_code == 404
