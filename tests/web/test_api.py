import gzip
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import generate_uid

from dicom_node.ledger import State
from web.pixel_values import PixelForm, packed
from web.program import program_version

Address = Callable[[Dataset], str]
Make = Callable[..., FileDataset]


def test_a_study_is_found_by_its_own_words(search, keeper, make_instance: Make) -> None:
    keeper.keep(make_instance(PatientName="MÜLLER^Jörg", PatientID="X-77", AccessionNumber="RNJ9"))
    keeper.keep(make_instance(PatientName="SMITH^Ann", Modality="MR", StudyDate="20250505"))
    for wanted in (
        {"text": "muller"},
        {"text": "jörg MÜL"},
        {"text": "x-77"},
        {"text": "rnj"},
        {"modality": "CT"},
        {"study_date": "20260101-"},
    ):
        [study] = search(**wanted)["studies"]
        assert study["display"]["name"] == "MÜLLER, Jörg", wanted
    assert search(text="muller ann")["studies"] == []


def test_the_newest_study_comes_first(search, keeper, make_instance: Make) -> None:
    for date in ("20260101", "20260301", "20260201"):
        keeper.keep(make_instance(StudyDate=date))
    dates = [study["study_date"] for study in search()["studies"]]
    assert dates == ["20260301", "20260201", "20260101"]


def test_a_page_says_that_there_is_more(search, keeper, make_instance: Make) -> None:
    keeper.keep(*(make_instance() for _ in range(3)))
    found = search(limit=2)
    assert (len(found["studies"]), found["is_more"]) == (2, True)
    assert search(limit=2, offset=2)["is_more"] is False


def test_a_wildcard_typed_by_a_person_is_no_trap(search, held: FileDataset) -> None:
    assert search(text="%")["studies"] == []
    assert search(text="_")["studies"] == []


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x"},
        {"text": 5},
        {"limit": "5"},
        {"limit": 0},
        {"limit": 501},
        {"limit": True},
        {"offset": -1},
        {"text": "x" * 129},
        {"study_date": "2026-01-02"},
        [],
        "text",
    ],
)
def test_a_search_that_makes_no_sense_is_refused(client: FlaskClient, body: Any) -> None:
    answer = client.post("/api/v1/studies/search", json=body)
    assert answer.status_code == 400
    assert answer.json["error"]["code"] == "bad-parameter"


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
def test_only_plain_json_is_read(client: FlaskClient, headers: dict[str, str]) -> None:
    answer = client.post("/api/v1/studies/search", data=b"{}", headers=headers)
    assert answer.status_code == 415


def test_broken_json_is_refused(client: FlaskClient) -> None:
    answer = client.post("/api/v1/studies/search", data=b"{", content_type="application/json")
    assert answer.status_code == 400


def test_a_search_cannot_be_put_into_an_address(client: FlaskClient) -> None:
    assert client.get("/api/v1/studies/search?text=x").status_code in (404, 405)


def test_a_study_lists_its_series_in_display_order(
    client: FlaskClient, keeper, make_instance: Make
) -> None:
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    keeper.keep(
        *(make_instance(n, **uids, ImagePositionPatient=[0, 0, -n]) for n in (1, 2, 3)),
        make_instance(1, StudyInstanceUID=uids["StudyInstanceUID"], SeriesNumber=7, Modality="MR"),
    )
    study = client.get(f"/api/v1/studies/{uids['StudyInstanceUID']}").json["study"]
    first, second = study["series"]
    assert [i["instance_number"] for i in first["instances"]] == [3, 2, 1]
    assert (second["series_number"], second["modality"]) == (7, "MR")
    assert study["received"]["state"] == "receiving"


def test_two_versions_of_one_instance_are_one_image_with_a_flag(
    client: FlaskClient, keeper, make_instance: Make
) -> None:
    dataset = make_instance()
    keeper.keep(dataset)
    dataset.PatientName = "OTHER^NAME"
    keeper.keep(dataset)
    study = client.get(f"/api/v1/studies/{dataset.StudyInstanceUID}").json["study"]
    [instance] = study["series"][0]["instances"]
    assert instance["is_conflict"] is True
    assert study["display"]["conflict"]


def test_a_file_that_is_damaged_on_disk_is_never_shown_without_saying_so(
    client: FlaskClient, keeper, make_instance: Make
) -> None:
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    keeper.keep(*(make_instance(number, **uids) for number in (1, 2, 3)))
    before = client.get("/api/v1/changes").json["revision"]
    path = next(iter(path for path in sorted(keeper.store.walk())))
    keeper.index.mark_damaged(path, "2026-01-02T03:04:05.000+00:00")
    assert client.get("/api/v1/changes").json["revision"] != before
    study = client.get(f"/api/v1/studies/{uids['StudyInstanceUID']}").json["study"]
    assert study["display"]["conflict"] == "1 file damaged on disk"
    [series] = study["series"]
    [place] = [at for at, one in enumerate(series["instances"], 1) if one["damaged_at"]]
    assert series["warnings"] == [f"File damaged on disk: image {place}"]
    for page in ("/", f"/studies/{uids['StudyInstanceUID']}"):
        assert "1 file damaged on disk" in client.get(page).text


def test_pixels_are_the_stored_values(
    client: FlaskClient, held: FileDataset, address: Address
) -> None:
    answer = client.get(f"/api/v1{address(held)}/frames/1/pixels")
    assert answer.mimetype == "application/octet-stream"
    assert answer.data == held.PixelData
    assert answer.headers["X-Frame"] == f"{held.SOPInstanceUID}#1"


def test_colour_is_rgb_bytes(
    client: FlaskClient, keeper, make_instance: Make, address: Address
) -> None:
    rgb = np.random.default_rng(1).integers(0, 255, (8, 9, 3), dtype=np.uint8)
    dataset = make_instance(
        Rows=8, Columns=9, SamplesPerPixel=3, PhotometricInterpretation="RGB", BitsAllocated=8,
        BitsStored=8, HighBit=7, PixelRepresentation=0, PlanarConfiguration=1, Modality="US",
    )  # fmt: skip
    dataset.PixelData = rgb.transpose(2, 0, 1).tobytes()
    keeper.keep(dataset)
    info = client.get(f"/api/v1{address(dataset)}/frames/1/info").json
    assert (info["kind"], info["pixels"]["dtype"]) == ("colour", "rgb8")
    assert client.get(f"/api/v1{address(dataset)}/frames/1/pixels").data == rgb.tobytes()


def test_info_names_the_patient_of_these_very_pixels(
    client: FlaskClient, keeper, make_instance: Make, address: Address
) -> None:
    study = generate_uid()
    one, other = (
        make_instance(StudyInstanceUID=study, PatientName=name) for name in ("ONE^A", "OTHER^B")
    )
    keeper.keep(one, other)
    for dataset, name in ((one, "ONE, A"), (other, "OTHER, B")):
        info = client.get(f"/api/v1{address(dataset)}/frames/1/info").json
        assert info["display"]["name"] == name
        assert info["sop_instance_uid"] == dataset.SOPInstanceUID
    found = client.get(f"/api/v1/studies/{study}").json["study"]
    assert found["display"]["conflict"] == "Images name different patients"


def test_an_address_with_digest_and_program_is_kept_and_of_another_program_asked_again(
    client: FlaskClient, held: FileDataset, address: Address
) -> None:
    study = client.get(f"/api/v1/studies/{held.StudyInstanceUID}").json["study"]
    digest = study["series"][0]["instances"][0]["digest"]
    for what in ("info", "pixels"):
        url = f"/api/v1{address(held)}/frames/1/{what}"
        kept = client.get(f"{url}?v={digest[:16]}-{program_version()}")
        assert kept.headers["Cache-Control"] == "private, max-age=28800, immutable"
        assert program_version() in kept.headers["ETag"]
        for other in ("", f"?v={digest[:16]}", f"?v={digest[:16]}-0123456789ab"):
            assert client.get(url + other).headers["Cache-Control"] == "private, no-cache"
        again = client.get(url, headers={"If-None-Match": kept.headers["ETag"]})
        assert again.status_code == 304
        for version in ("0" * 16, digest[:15]):
            assert client.get(f"{url}?v={version}").status_code == 404


def test_pixels_travel_compressed_when_that_helps(
    client: FlaskClient, keeper, make_instance: Make, address: Address
) -> None:
    dataset = make_instance(Rows=256, Columns=256)
    dataset.PixelData = bytes(256 * 256 * 2)
    keeper.keep(dataset)
    url = f"/api/v1{address(dataset)}/frames/1/pixels"
    answer = client.get(url, headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(answer.data) == dataset.PixelData
    plain = client.get(url, headers={"Accept-Encoding": "gzip;q=0"})
    assert plain.data == dataset.PixelData
    assert plain.headers["ETag"] != answer.headers["ETag"]


def test_what_does_not_shrink_is_sent_as_it_is() -> None:
    noise = np.random.default_rng(1).integers(0, 256, 100_000, np.uint8)
    for values in (noise, noise[:9]):
        sent = packed(values, PixelForm(takes_gzip=True))
        assert (sent.content, sent.encoding) == (values.tobytes(), "")


@pytest.mark.parametrize("number", ["0", "2", "1000000000", "-1", "1.5", "x", "%00"])
def test_a_frame_that_is_not_there_is_not_found(
    client: FlaskClient, held: FileDataset, address: Address, number: str
) -> None:
    for what in ("info", "pixels"):
        answer = client.get(f"/api/v1{address(held)}/frames/{number}/{what}")
        assert answer.status_code == 404


def test_an_instance_is_found_in_its_own_study_only(
    client: FlaskClient, keeper, make_instance: Make
) -> None:
    one, other = make_instance(), make_instance()
    keeper.keep(one, other)
    mixed = (
        f"/studies/{other.StudyInstanceUID}/series/{one.SeriesInstanceUID}"
        f"/instances/{one.SOPInstanceUID}"
    )
    assert client.get(f"/api/v1{mixed}/frames/1/pixels").status_code == 404
    assert client.get(f"/dicom-web{mixed}").status_code == 404


def test_an_image_that_cannot_be_shown_says_why(
    client: FlaskClient, keeper, make_instance: Make, address: Address
) -> None:
    dataset = make_instance()
    dataset.PixelData = dataset.PixelData[:100]
    keeper.keep(dataset)
    info = client.get(f"/api/v1{address(dataset)}/frames/1/info").json
    assert info["kind"] == "none"
    assert info["display"]["name"] == "PHANTOM, Test"
    answer = client.get(f"/api/v1{address(dataset)}/frames/1/pixels")
    assert answer.status_code == 406
    assert answer.json["error"] == {**info["reason"], "id": ""}


def test_an_instance_filed_under_made_up_uids_can_be_shown(
    client: FlaskClient, keeper, make_instance: Make, search
) -> None:
    dataset = make_instance()
    del dataset.StudyInstanceUID, dataset.SeriesInstanceUID
    keeper.keep(dataset)
    [found] = search()["studies"]
    study = client.get(f"/api/v1/studies/{found['study_instance_uid']}").json["study"]
    [series] = study["series"]
    url = (
        f"/api/v1/studies/{study['study_instance_uid']}/series/{series['series_instance_uid']}"
        f"/instances/{dataset.SOPInstanceUID}/frames/1/info"
    )
    info = client.get(url).json
    assert info["study_instance_uid"] == study["study_instance_uid"]
    assert info["kind"] == "grey"


def test_a_file_swapped_on_the_disk_is_never_shown(
    client: FlaskClient, keeper, make_instance: Make, address: Address
) -> None:
    one, other = make_instance(PatientName="ONE"), make_instance(PatientName="OTHER")
    keeper.keep(one, other)
    paths = {path.stem: path for path in keeper.data.glob("instances/**/*.dcm")}
    content = paths[other.SOPInstanceUID].read_bytes()
    paths[one.SOPInstanceUID].unlink()
    paths[one.SOPInstanceUID].write_bytes(content)
    answer = client.get(f"/api/v1{address(one)}/frames/1/info")
    assert answer.status_code == 406
    assert b"OTHER" not in answer.data


def test_the_state_of_the_return_is_told(
    client: FlaskClient, search, keeper, make_ledger, held: FileDataset, clock
) -> None:
    from dicom_node.index import IndexReader
    from dicom_node.ledger import LedgerReader

    ledger = make_ledger("central")
    index = IndexReader(keeper.data / "index.sqlite")
    reader = LedgerReader(keeper.data / "ledger.sqlite")
    records = index.instances(held.StudyInstanceUID)
    ledger.enqueue(records, ["central"], data=keeper.data, now=clock().isoformat(), marks={})
    assert search()["studies"][0]["delivery"]["state"] == "waiting"
    [delivery] = reader.deliveries(held.StudyInstanceUID)
    ids = [delivery.delivery_id]
    ledger.update(ids, expected=State.QUEUED, state=State.PROVEN, proof="commitment")
    [study] = search()["studies"]
    assert study["delivery"] == {"state": "proven", "words": "Proven 1 of 1"}
    sync = client.get("/api/v1/sync").json
    assert sync["destinations"][0]["counts"]["proven"] == 1
    assert sync["studies"][0]["proof"] == "storage commitment"
    index.close()
    reader.close()
