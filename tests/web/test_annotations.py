"""What was laid over a study's images is told with the images it belongs to."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import (
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    generate_uid,
)

from web import annotations

Make = Callable[..., FileDataset]
Address = Callable[[Dataset], str]


def item(**elements: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


@pytest.fixture
def beside(make_instance: Make, held: FileDataset) -> Callable[..., FileDataset]:
    """Make an object without pixels in the study of `held`, in a series of its own."""

    def make(sop_class_uid: str, **elements: Any) -> FileDataset:
        ds = make_instance(StudyInstanceUID=held.StudyInstanceUID, SeriesInstanceUID=generate_uid())
        del ds.PixelData
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = sop_class_uid
        for keyword, value in elements.items():
            setattr(ds, keyword, value)
        return ds

    return make


def state_of(held: FileDataset) -> dict[str, Any]:
    image = item(ReferencedSOPInstanceUID=held.SOPInstanceUID)
    return {
        "ReferencedSeriesSequence": [item(ReferencedImageSequence=[image])],
        "SoftcopyVOILUTSequence": [item(WindowCenter=40, WindowWidth=80)],
        "ContentLabel": "BRAIN",
    }


def ask(client: FlaskClient, study: str) -> Any:
    answer = client.get(f"/api/v1/studies/{study}/presentation-states")
    assert answer.status_code == 200
    return answer.json


def test_states_and_key_objects_name_their_images(
    client: FlaskClient, keeper, held: FileDataset, beside: Callable[..., FileDataset]
) -> None:
    state = beside(GrayscaleSoftcopyPresentationStateStorage, **state_of(held))
    marked = item(
        ValueType="IMAGE",
        ReferencedSOPSequence=[item(ReferencedSOPInstanceUID=held.SOPInstanceUID)],
    )
    key_objects = beside(
        KeyObjectSelectionDocumentStorage,
        ConceptNameCodeSequence=[item(CodeValue="113000", CodeMeaning="Of Interest")],
        ContentSequence=[marked],
    )
    keeper.keep(state, key_objects)
    answer = ask(client, held.StudyInstanceUID)
    [shown] = answer["presentation_states"]
    reference = {"sop_instance_uid": held.SOPInstanceUID, "frame_numbers": []}
    assert shown["sop_instance_uid"] == state.SOPInstanceUID
    assert shown["series_instance_uid"] == state.SeriesInstanceUID
    assert (shown["label"], shown["kind"]) == ("BRAIN", "grayscale")
    assert shown["references"] == [reference]
    assert shown["voi"][0]["windows"][0]["center"] == 40
    [key] = answer["key_objects"]
    assert (key["title"], key["references"]) == ("Of Interest", [reference])
    assert (answer["unreadable"], answer["is_more"]) == ([], False)


def test_a_study_without_annotations_has_empty_lists(client: FlaskClient, held) -> None:
    assert ask(client, held.StudyInstanceUID) == {
        "presentation_states": [],
        "key_objects": [],
        "unreadable": [],
        "is_more": False,
    }


def test_a_damaged_state_is_named_and_its_neighbours_are_shown(
    client: FlaskClient, keeper, held: FileDataset, beside: Callable[..., FileDataset]
) -> None:
    good = beside(GrayscaleSoftcopyPresentationStateStorage, **state_of(held))
    bad = beside(GrayscaleSoftcopyPresentationStateStorage, ModalityLUTSequence=[item()])
    keeper.keep(good, bad)
    answer = ask(client, held.StudyInstanceUID)
    assert len(answer["presentation_states"]) == 1
    [unreadable] = answer["unreadable"]
    assert unreadable["sop_instance_uid"] == bad.SOPInstanceUID
    assert unreadable["reason"]["code"] == "unsupported-pixels"


def test_a_flood_of_states_is_read_in_part(
    client: FlaskClient,
    keeper,
    held: FileDataset,
    beside: Callable[..., FileDataset],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(annotations, "MOST_OBJECTS", 1)
    many = [beside(GrayscaleSoftcopyPresentationStateStorage) for _ in range(2)]
    for number, ds in enumerate(many):
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        ds.InstanceNumber = number
    keeper.keep(*many)
    answer = ask(client, held.StudyInstanceUID)
    assert len(answer["presentation_states"]) == 1
    assert answer["is_more"]


def test_an_unknown_study_has_no_annotations(client: FlaskClient) -> None:
    answer = client.get("/api/v1/studies/1.2.3/presentation-states")
    assert (answer.status_code, answer.json["error"]["code"]) == (404, "not-found")


def test_an_overlay_is_given_as_bits_of_its_frame(
    client: FlaskClient, keeper, make_instance: Make, address: Address
) -> None:
    ds = make_instance()
    plane = np.zeros((ds.Rows, ds.Columns), np.uint8)
    plane[1, 2:5] = 1
    ds.add_new((0x6002, 0x0010), "US", ds.Rows)
    ds.add_new((0x6002, 0x0011), "US", ds.Columns)
    ds.add_new((0x6002, 0x0040), "CS", "G")
    ds.add_new((0x6002, 0x0050), "SS", [1, 1])
    ds.add_new((0x6002, 0x0100), "US", 1)
    ds.add_new((0x6002, 0x0102), "US", 0)
    ds.add_new((0x6002, 0x3000), "OW", np.packbits(plane, bitorder="little").tobytes())
    keeper.keep(ds)
    answer = client.get(f"/api/v1{address(ds)}/frames/1/overlays/6002")
    assert answer.status_code == 200
    assert answer.headers["X-Frame"] == f"{ds.SOPInstanceUID}#1"
    bits = np.unpackbits(np.frombuffer(answer.data, np.uint8), bitorder="little")
    assert np.array_equal(bits[: plane.size].reshape(plane.shape), plane)
    info = client.get(f"/api/v1{address(ds)}/frames/1/info").json
    assert info["overlays"][0]["group"] == "6002"
    for missing in ("frames/1/overlays/6000", "frames/1/overlays/x", "frames/2/overlays/6002"):
        assert client.get(f"/api/v1{address(ds)}/{missing}").status_code == 404
