"""DICOMweb asked by a real client of a real server."""

import secrets
from collections.abc import Callable
from typing import Any

import pydicom
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import RLELossless, generate_uid

Make = Callable[..., FileDataset]


@pytest.fixture(scope="module")
def keeper(tmp_path_factory: pytest.TempPathFactory, make_keeper: Callable[..., Any]) -> Any:
    """One node for all tests of this file: each brings a patient of its own."""
    data = tmp_path_factory.mktemp("dicomweb") / "data"
    data.mkdir()
    return make_keeper(data)


@pytest.fixture(scope="module")
def web(keeper: Any, launch_web: Callable[..., Any]) -> DICOMwebClient:
    return DICOMwebClient(f"http://127.0.0.1:{launch_web(keeper.data).port}/dicom-web")


def uids(dataset: Dataset) -> tuple[str, str, str]:
    return dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID


def test_a_client_searches_every_level(keeper, make_instance: Make, web: DICOMwebClient) -> None:
    study, own = generate_uid(), {"PatientID": secrets.token_hex(8)}
    one = make_instance(1, StudyInstanceUID=study, PatientName="ADAMS^Ann", **own)
    two = make_instance(2, StudyInstanceUID=study, SeriesInstanceUID=one.SeriesInstanceUID, **own)
    keeper.keep(one, two, make_instance(PatientName="BAKER^Bob", Modality="MR", **own))

    [found] = web.search_for_studies(search_filters={"PatientName": "adams*"})
    found = Dataset.from_json(found)
    assert found.StudyInstanceUID == study
    assert found.PatientName == "ADAMS^Ann"
    assert found.NumberOfStudyRelatedInstances == 2
    assert found.ModalitiesInStudy == "CT"
    assert found.RetrieveURL.endswith(f"/dicom-web/studies/{study}")

    [series] = web.search_for_series(study)
    assert Dataset.from_json(series).NumberOfSeriesRelatedInstances == 2
    assert len(web.search_for_series(search_filters=own)) == 2

    instances = [
        Dataset.from_json(item) for item in web.search_for_instances(study, one.SeriesInstanceUID)
    ]
    assert [item.InstanceNumber for item in instances] == [1, 2]
    assert instances[0].SOPClassUID == one.SOPClassUID
    assert (instances[0].Rows, instances[0].BitsAllocated) == (64, 16)
    assert len(web.search_for_instances(search_filters={"Modality": "MR", **own})) == 1
    assert web.search_for_studies(search_filters={"PatientID": "nobody"}) == []


def test_a_client_pages_through(keeper, make_instance: Make, web: DICOMwebClient) -> None:
    own = {"PatientID": secrets.token_hex(8)}
    keeper.keep(*(make_instance(**own) for _ in range(5)))
    pages = [web.search_for_studies(limit=2, offset=at, search_filters=own) for at in (0, 2, 4)]
    found = {Dataset.from_json(item).StudyInstanceUID for page in pages for item in page}
    assert [len(page) for page in pages] == [2, 2, 1]
    assert len(found) == 5


def test_a_client_gets_the_bytes_as_they_came(
    keeper, make_instance: Make, web: DICOMwebClient
) -> None:
    rle = pydicom.dcmread(get_testdata_file("MR_small_RLE.dcm"))
    keeper.keep(rle)
    [kept] = keeper.data.glob(f"instances/**/{rle.SOPInstanceUID}.dcm")
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


def test_a_study_cut_short_is_noticed(keeper, make_instance: Make, web: DICOMwebClient) -> None:
    study = generate_uid()
    sent = [make_instance(n, StudyInstanceUID=study) for n in (1, 2)]
    keeper.keep(*sent)
    [path] = keeper.data.glob(f"instances/**/{sent[1].SOPInstanceUID}.dcm")
    path.unlink()
    with pytest.raises(requests.HTTPError):
        web.retrieve_study(study)
