"""DICOMweb asked by a real client of a real server, and its refusals."""

import warnings
from collections.abc import Callable
from io import BytesIO

import numpy as np
import pydicom
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from flask.testing import FlaskClient
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import ImplicitVRLittleEndian, RLELossless, generate_uid

Make = Callable[..., FileDataset]
Address = Callable[[Dataset], str]


@pytest.fixture
def web(served: int) -> DICOMwebClient:
    return DICOMwebClient(f"http://127.0.0.1:{served}/dicom-web")


def uids(dataset: Dataset) -> tuple[str, str, str]:
    return dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID


def test_a_client_searches_every_level(keeper, make_instance: Make, web: DICOMwebClient) -> None:
    study = generate_uid()
    one = make_instance(1, StudyInstanceUID=study, PatientName="ADAMS^Ann")
    two = make_instance(2, StudyInstanceUID=study, SeriesInstanceUID=one.SeriesInstanceUID)
    keeper.keep(one, two, make_instance(PatientName="BAKER^Bob", Modality="MR"))

    [found] = web.search_for_studies(search_filters={"PatientName": "adams*"})
    found = Dataset.from_json(found)
    assert found.StudyInstanceUID == study
    assert found.PatientName == "ADAMS^Ann"
    assert found.NumberOfStudyRelatedInstances == 2
    assert found.ModalitiesInStudy == "CT"
    assert found.RetrieveURL.endswith(f"/dicom-web/studies/{study}")

    [series] = web.search_for_series(study)
    assert Dataset.from_json(series).NumberOfSeriesRelatedInstances == 2
    assert len(web.search_for_series()) == 2

    instances = [
        Dataset.from_json(item) for item in web.search_for_instances(study, one.SeriesInstanceUID)
    ]
    assert [item.InstanceNumber for item in instances] == [1, 2]
    assert instances[0].SOPClassUID == one.SOPClassUID
    assert (instances[0].Rows, instances[0].BitsAllocated) == (64, 16)
    assert len(web.search_for_instances(search_filters={"Modality": "MR"})) == 1
    assert web.search_for_studies(search_filters={"PatientID": "nobody"}) == []


def test_a_client_pages_through(keeper, make_instance: Make, web: DICOMwebClient) -> None:
    keeper.keep(*(make_instance() for _ in range(5)))
    pages = [web.search_for_studies(limit=2, offset=offset) for offset in (0, 2, 4)]
    found = {Dataset.from_json(item).StudyInstanceUID for page in pages for item in page}
    assert [len(page) for page in pages] == [2, 2, 1]
    assert len(found) == 5


def test_a_client_gets_the_bytes_as_they_came(
    keeper, make_instance: Make, web: DICOMwebClient
) -> None:
    rle = pydicom.dcmread(get_testdata_file("MR_small_RLE.dcm"))
    keeper.keep(rle)
    [kept] = keeper.data.glob("instances/**/*.dcm")
    body = web._http_get(  # the client's own session; it parses what we want to see raw
        f"{web.base_url}/studies/{rle.StudyInstanceUID}",
        headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'},
    ).content
    assert kept.read_bytes() in body
    [dataset] = web.retrieve_study(rle.StudyInstanceUID, media_types=(("application/dicom", "*"),))
    assert dataset.file_meta.TransferSyntaxUID == RLELossless
    assert dataset.PixelData == rle.PixelData


def test_a_client_gets_a_study_of_many_parts(
    keeper, make_instance: Make, web: DICOMwebClient
) -> None:
    study = generate_uid()
    sent = [make_instance(n, StudyInstanceUID=study) for n in range(1, 9)]
    keeper.keep(*sent)
    got = web.retrieve_study(study)
    assert {ds.SOPInstanceUID for ds in got} == {ds.SOPInstanceUID for ds in sent}
    by_uid = {ds.SOPInstanceUID: ds for ds in got}
    assert all(by_uid[ds.SOPInstanceUID].PixelData == ds.PixelData for ds in sent)


def test_a_client_gets_metadata_without_bulk_data(
    keeper, make_instance: Make, web: DICOMwebClient
) -> None:
    dataset = make_instance()
    dataset.add_new(0x00091001, "OB", bytes(5000))
    dataset.add_new(0x00091002, "OB", b"few")
    keeper.keep(dataset)
    metadata = Dataset.from_json(web.retrieve_instance_metadata(*uids(dataset)))
    assert metadata.PatientName == dataset.PatientName
    assert metadata.ImagePositionPatient == dataset.ImagePositionPatient
    assert "PixelData" not in metadata
    assert 0x00091001 not in metadata
    assert metadata[0x00091002].value == b"few\0"  # padded to an even length, PS3.5 7.1
    assert len(web.retrieve_study_metadata(dataset.StudyInstanceUID)) == 1


def test_a_client_gets_frames(keeper, make_instance: Make, web: DICOMwebClient) -> None:
    dataset = make_instance(NumberOfFrames=3)
    frames = [bytes([n]) * (64 * 64 * 2) for n in (1, 2, 3)]
    dataset.PixelData = b"".join(frames)
    keeper.keep(dataset)
    got = web.retrieve_instance_frames(*uids(dataset), frame_numbers=[3, 1])
    assert [bytes(frame) for frame in got] == [frames[2], frames[0]]


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


def test_a_study_cut_short_is_noticed(keeper, make_instance: Make, web: DICOMwebClient) -> None:
    study = generate_uid()
    keeper.keep(*(make_instance(n, StudyInstanceUID=study) for n in (1, 2)))
    paths = sorted(keeper.data.glob("instances/**/*.dcm"))
    paths[0].unlink()
    with pytest.raises(requests.HTTPError):
        web.retrieve_study(study)
