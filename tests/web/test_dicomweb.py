"""DICOMweb's forms of answers and its refusals."""

import warnings
from collections.abc import Callable
from io import BytesIO

import numpy as np
import pydicom
import pytest
from flask.testing import FlaskClient
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import ImplicitVRLittleEndian

Make = Callable[..., FileDataset]
Address = Callable[[Dataset], str]


@pytest.mark.parametrize(
    ("name", "media_type", "syntax"),
    [
        ("MR_small_RLE.dcm", "image/dicom-rle", "1.2.840.10008.1.2.5"),
        ("MR_small_jp2klossless.dcm", "image/jp2", "1.2.840.10008.1.2.4.90"),
        ("SC_rgb_jpeg_dcmtk.dcm", "image/jpeg", "1.2.840.10008.1.2.4.50"),
    ],
)
def test_compressed_frames_come_as_stored_or_decoded(
    keeper, client: FlaskClient, address: Address, name: str, media_type: str, syntax: str
) -> None:
    dataset = pydicom.dcmread(get_testdata_file(name))
    keeper.keep(dataset)
    url = f"/dicom-web{address(dataset)}/frames/1"
    stored = client.get(url, headers={"Accept": f'multipart/related; type="{media_type}"'})
    assert stored.status_code == 200
    assert f"{media_type}; transfer-syntax={syntax}".encode() in stored.data
    frame = next(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1))
    assert frame in stored.data

    decoded = client.get(
        url, headers={"Accept": 'multipart/related; type="application/octet-stream"'}
    )
    body = decoded.data.split(b"\r\n\r\n", 1)[1].rsplit(b"\r\n--", 1)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = dataset.pixel_array
    got = np.frombuffer(body, expected.dtype).reshape(expected.shape).astype(int)
    assert np.abs(got - expected).max() <= (3 if media_type == "image/jpeg" else 0)


def test_implicit_files_are_given_as_stored(
    keeper, make_instance: Make, client: FlaskClient, address: Address
) -> None:
    dataset = make_instance()
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    keeper.keep(dataset)
    answer = client.get(f"/dicom-web{address(dataset)}", headers={"Accept": "application/dicom"})
    got = pydicom.dcmread(BytesIO(answer.data))
    assert got.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert got.PixelData == dataset.PixelData


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("", "image/jpeg"),
        ("", 'multipart/related; type="application/octet-stream"'),
        ("", 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.90'),
        ("/metadata", "application/dicom+xml"),
        ("/frames/1", 'multipart/related; type="image/jp2"'),
        ("/frames/1", "application/octet-stream"),
        ("/rendered", "image/gif"),
        ("/thumbnail", "image/png"),
    ],
)
def test_a_form_that_cannot_be_given_is_told(
    client: FlaskClient, held: FileDataset, address: Address, path: str, accept: str
) -> None:
    answer = client.get(f"/dicom-web{address(held)}{path}", headers={"Accept": accept})
    assert answer.status_code == 406
    assert answer.json["error"]["code"] == "not-acceptable"


@pytest.mark.parametrize(
    ("frames", "status"),
    [
        ("1", 200),
        ("0", 400),
        ("-1", 400),
        ("1,", 400),
        ("x", 400),
        ("2", 404),
        ("1000000000", 400),
        ("1,1", 400),
        ("%2e%2e", 400),
    ],
)
def test_a_list_of_frames_is_checked(
    client: FlaskClient, held: FileDataset, address: Address, frames: str, status: int
) -> None:
    answer = client.get(f"/dicom-web{address(held)}/frames/{frames}")
    assert answer.status_code == status


def test_searching_by_an_unknown_attribute_is_refused(client: FlaskClient) -> None:
    answer = client.get("/dicom-web/studies?EyeColour=blue")
    assert answer.status_code == 400
    assert answer.json["error"]["code"] == "bad-parameter"


def test_more_results_and_fuzzy_searches_carry_a_warning(
    client: FlaskClient, keeper, make_instance: Make
) -> None:
    keeper.keep(make_instance(), make_instance())
    answer = client.get("/dicom-web/studies?limit=1&fuzzymatching=true")
    assert answer.mimetype == "application/dicom+json"
    assert len(answer.headers.getlist("Warning")) == 2


def test_of_two_versions_the_first_is_retrieved(
    client: FlaskClient, keeper, make_instance: Make, address: Address
) -> None:
    dataset = make_instance(PatientName="FIRST")
    keeper.keep(dataset)
    dataset.PatientName = "SECOND"
    keeper.keep(dataset)
    answer = client.get(f"/dicom-web{address(dataset)}", headers={"Accept": "application/dicom"})
    assert pydicom.dcmread(BytesIO(answer.data)).PatientName == "FIRST"
    assert len(client.get("/dicom-web/instances").json) == 1
