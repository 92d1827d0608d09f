import json

import pytest

from dicom_node.errors import BadDataset, IdentityMismatch, StorageFull, UnsafeUid
from dicom_node.ingest import Origin
from dicom_node.quarantine import list_quarantine
from dicom_node.storage import InstanceStore
from dicom_node.stored_file import read_file_head
from dicom_node.study_query import StudyQuery

EXPLICIT = "1.2.840.10008.1.2.1"
ORIGIN = Origin(door="c-store", calling_ae_title="CT1")


def test_an_instance_is_kept_and_indexed_as_received(room, make_instance, encode_dataset):
    ds = make_instance()
    stored = room.accept(ds)
    room.settle()
    content = (room.data / stored.path).read_bytes()
    head = read_file_head(room.data / stored.path)
    assert content[head.dataset_offset :] == encode_dataset(ds)
    record = room.reader.instance(ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID)
    assert record is not None
    assert record.digest == stored.digest
    assert record.calling_ae_title == "CT1"
    assert list((room.data / "incoming").iterdir()) == []


def test_sent_again_it_is_one_copy(room, make_instance):
    ds = make_instance()
    outcomes = [room.accept(ds).is_new for _ in range(3)]
    room.settle()
    assert outcomes == [True, False, False]
    assert room.reader.counts()["instances"] == 1


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"this is a text file, not a data set", BadDataset),
        (b"", BadDataset),
        (bytes(1000), BadDataset),
    ],
)
def test_what_is_no_data_set_goes_to_quarantine_with_a_reason(room, data, error):
    with pytest.raises(error):
        room.ingest.accept(data, EXPLICIT, ORIGIN)
    (entry,) = list_quarantine(room.data / "quarantine")
    assert (room.data / "quarantine" / entry.name).read_bytes() == data
    assert entry.code == error.code
    assert entry.reason
    assert (entry.door, entry.calling_ae_title) == ("c-store", "CT1")


def test_a_cut_instance_goes_to_quarantine(room, make_instance, encode_dataset):
    data = encode_dataset(make_instance())[:-100]
    with pytest.raises(BadDataset):
        room.ingest.accept(data, EXPLICIT, ORIGIN)
    assert len(list_quarantine(room.data / "quarantine")) == 1
    assert list(room.store.walk()) == []


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
def test_a_path_in_a_uid_goes_to_quarantine(room, make_instance, encode_dataset, keyword):
    ds = make_instance()
    uid = str(ds[keyword].value).encode()
    evil = b"../../../../etc/passwd".ljust(len(uid), b"x")[: len(uid)]
    with pytest.raises(UnsafeUid):
        room.ingest.accept(encode_dataset(ds).replace(uid, evil), EXPLICIT, ORIGIN)
    (entry,) = list_quarantine(room.data / "quarantine")
    assert "passwd" not in json.dumps(entry.reason)
    assert list(room.store.walk()) == []


@pytest.mark.parametrize("field", ["sop_instance_uid", "sop_class_uid"])
def test_a_command_that_names_another_instance_goes_to_quarantine(room, make_instance, field):
    with pytest.raises(IdentityMismatch):
        room.accept(make_instance(), **{field: "1.2.3.4"})
    (entry,) = list_quarantine(room.data / "quarantine")
    assert entry.code == "identity-mismatch"


def test_without_study_and_series_it_is_kept_apart_and_visible(room, make_instance):
    for _ in range(2):
        ds = make_instance()
        del ds.StudyInstanceUID
        del ds.SeriesInstanceUID
        room.accept(ds)
    room.settle()
    studies = room.reader.search_studies(StudyQuery())
    assert len(studies) == 2
    assert all(study.study_instance_uid.startswith("2.25.") for study in studies)


def test_a_full_disk_refuses_and_keeps_nothing(room, make_instance, tmp_path):
    full = InstanceStore(tmp_path / "full", reserve_bytes=1 << 60)
    room.ingest._store = full
    with pytest.raises(StorageFull):
        room.accept(make_instance())
    with pytest.raises(StorageFull):
        room.ingest.accept(b"not a data set", EXPLICIT, ORIGIN)
    assert list(full.walk()) == []
    assert list_quarantine(room.data / "quarantine") == []
    full.close()
