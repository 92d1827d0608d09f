from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.index import IndexReader
from dicom_node.index_tables import fold_text
from dicom_node.index_writer import Index
from dicom_node.study_query import StudyQuery


@pytest.fixture
def filled(room, make_instance):
    """Three studies of three patients."""
    for name, patient_id, accession, date, modality in (
        ("MÜLLER^JÖRG", "PH-1", "A100", "20260101", "CT"),
        ("MILLER^ANNE", "PH-2", "A200", "20260102", "MR"),
        ("O'NEIL^100%_REAL", "PH-3", "B300", "20260103", "US"),
    ):
        room.accept(
            make_instance(
                PatientName=name,
                PatientID=patient_id,
                AccessionNumber=accession,
                StudyDate=date,
                Modality=modality,
            )
        )
    room.settle()
    return room.reader


def ids(reader: IndexReader, **query: str) -> list[str]:
    return [study.patient_id for study in reader.search_studies(StudyQuery(**query))]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["PH-3", "PH-2", "PH-1"]),
        ({"text": "muller"}, ["PH-1"]),
        ({"text": "jorg muller"}, ["PH-1"]),
        ({"text": "a1"}, ["PH-1"]),
        ({"text": "ph-2"}, ["PH-2"]),
        ({"text": "%"}, ["PH-3"]),
        ({"text": "_"}, ["PH-3"]),
        ({"text": "' OR 1=1--"}, []),
        ({"patient_name": "M*"}, ["PH-2", "PH-1"]),
        ({"patient_name": "m?ller^*"}, ["PH-2", "PH-1"]),
        ({"patient_name": "MILLER^ANNE"}, ["PH-2"]),
        ({"patient_name": "MILLER"}, []),
        ({"patient_id": "PH-2"}, ["PH-2"]),
        ({"patient_id": "PH-?"}, ["PH-3", "PH-2", "PH-1"]),
        ({"patient_id": "%"}, []),
        ({"accession_number": "A*"}, ["PH-2", "PH-1"]),
        ({"study_date": "20260102"}, ["PH-2"]),
        ({"study_date": "20260102-"}, ["PH-3", "PH-2"]),
        ({"study_date": "-20260102"}, ["PH-2", "PH-1"]),
        ({"study_date": "20260103-20260101"}, []),
        ({"modality": "mr"}, ["PH-2"]),
        ({"modality": "M"}, []),
    ],
)
def test_studies_are_found_newest_first(filled, query, found):
    assert ids(filled, **query) == found


def test_paging(filled):
    pages = [filled.search_studies(StudyQuery(limit=1, offset=n)) for n in range(4)]
    assert [len(page) for page in pages] == [1, 1, 1, 0]


def test_counts_and_records(room, make_instance):
    first = make_instance(1)
    for number in (3, 2):
        ds = make_instance(
            number,
            StudyInstanceUID=first.StudyInstanceUID,
            SeriesInstanceUID=first.SeriesInstanceUID,
        )
        room.accept(ds)
    room.accept(first)
    room.settle()
    (study,) = room.reader.search_studies(StudyQuery())
    assert study.number_of_study_related_instances == 3
    assert study.number_of_study_related_series == 1
    assert study.modalities_in_study == ("CT",)
    assert study.last_received_at == "2026-01-02T03:04:05.000+00:00"
    (series,) = room.reader.series(study.study_instance_uid)
    assert series.number_of_series_related_instances == 3
    instances = room.reader.instances(study.study_instance_uid)
    assert [item.instance_number for item in instances] == [1, 2, 3]
    assert instances[0].image_position_patient == (0.0, 0.0, 1.0)
    assert instances[0].path.exists()
    assert room.reader.counts() == {
        "studies": 1,
        "series": 1,
        "instances": 3,
        "conflicts": 0,
        "damaged": 0,
    }


def test_same_uid_with_other_bytes_is_flagged_wherever_it_lies(room, make_instance):
    first = make_instance(1)
    room.accept(first)
    first.PatientName = "OTHER^PERSON"
    room.accept(first)
    first.SeriesInstanceUID = "1.2.3"
    room.accept(first)
    room.settle()
    instances = room.reader.instances(first.StudyInstanceUID)
    assert [item.is_conflict for item in instances] == [True, True, True]
    study = room.reader.study(first.StudyInstanceUID)
    assert study is not None
    assert study.number_of_conflicts == 3


def test_two_patients_in_one_study_are_flagged(room, make_instance):
    first = make_instance(1)
    room.accept(first)
    room.accept(
        make_instance(2, StudyInstanceUID=first.StudyInstanceUID, PatientID="SOMEBODY-ELSE")
    )
    room.settle()
    study = room.reader.study(first.StudyInstanceUID)
    assert study is not None
    assert study.has_patient_conflict


def test_one_patient_in_one_study_is_not_flagged(filled):
    assert not any(study.has_patient_conflict for study in filled.search_studies(StudyQuery()))


def test_an_instance_keeps_what_decides_its_place_in_a_stack(room, make_instance):
    dataset = make_instance(
        FrameOfReferenceUID="1.2.840.1",
        PixelSpacing=[0.5, 0.25],
        SliceThickness="1.25",
        ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
        AcquisitionTime="101112.5",
        AcquisitionNumber=4,
        ImagesInAcquisition=54,
        TemporalPositionIdentifier=2,
        TriggerTime="33.5",
        EchoNumbers=2,
        EchoTime="4.92",
        DiffusionBValue=800.0,
    )
    room.accept(dataset)
    room.settle()
    [found] = room.reader.instances(dataset.StudyInstanceUID)
    assert found.frame_of_reference_uid == "1.2.840.1"
    assert found.pixel_spacing == (0.5, 0.25)
    assert found.image_type == "ORIGINAL\\PRIMARY\\LOCALIZER"
    assert (found.slice_thickness, found.trigger_time) == ("1.25", "33.5")
    assert (found.acquisition_time, found.acquisition_number) == ("101112.5", 4)
    assert (found.images_in_acquisition, found.temporal_position_identifier) == (54, 2)
    assert (found.echo_numbers, found.echo_time) == ("2", "4.92")
    assert found.diffusion_b_value == 800.0


def test_what_an_instance_does_not_say_of_its_place_is_absent(room, make_instance):
    dataset = make_instance(AcquisitionNumber=None, ImagesInAcquisition="")
    room.accept(dataset)
    room.settle()
    [found] = room.reader.instances(dataset.StudyInstanceUID)
    assert found.acquisition_number is None
    assert found.images_in_acquisition is None
    assert found.diffusion_b_value is None
    assert found.trigger_time == ""


def test_an_absent_index_is_an_empty_one(tmp_path):
    reader = IndexReader(tmp_path / "index.sqlite")
    assert reader.search_studies(StudyQuery()) == []
    assert reader.counts()["instances"] == 0
    assert not (tmp_path / "index.sqlite").exists()


def test_the_revision_changes_with_every_arrival(room, make_instance):
    before = room.reader.revision()
    room.accept(make_instance())
    room.settle()
    assert room.reader.revision() != before


def asked_for(room, ds):
    return room.reader.instance(ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID)


def test_an_instance_asked_for_again_is_what_the_index_holds_by_then(room, make_instance):
    ds = make_instance(1)
    assert asked_for(room, ds) is None
    room.accept(ds)
    room.queue.flush()
    first = asked_for(room, ds)
    assert first is not None
    assert not first.is_conflict
    assert asked_for(room, ds) is first

    ds.PatientName = "OTHER^PERSON"
    room.accept(ds)
    room.queue.flush()
    again = asked_for(room, ds)
    assert again is not None
    assert again.is_conflict

    room.index.mark_damaged(str(first.path.relative_to(room.data)), "2026-01-02T03:04:05Z")
    damaged = asked_for(room, ds)
    assert damaged is not None
    assert damaged.damaged_at == "2026-01-02T03:04:05Z"


def test_an_instance_asked_for_again_is_not_that_of_an_index_set_aside(room, make_instance):
    ds = make_instance(1)
    room.accept(ds)
    room.settle()
    assert asked_for(room, ds) is not None
    room.index.close()
    for file in room.data.glob("index.sqlite*"):
        file.rename(file.with_name(f"old-{file.name}"))
    assert asked_for(room, ds) is None
    room.index = Index(room.data / "index.sqlite")
    assert asked_for(room, ds) is None


def test_what_is_read_while_others_write_is_never_older_than_its_question(room, make_instance):
    """Many ask for instances right after each one's arrival was waited for."""
    many = [make_instance(number) for number in range(1, 31)]

    def ask_for_all(before: list) -> bool:
        return all(asked_for(room, ds) is not None for ds in before)

    with ThreadPoolExecutor(4) as threads:
        asked = []
        for place, ds in enumerate(many):
            assert asked_for(room, ds) is None
            room.accept(ds)
            room.queue.flush()
            asked += [threads.submit(ask_for_all, many[: place + 1]) for _ in range(4)]
        assert all(one.result() for one in asked)


@given(st.text())
def test_any_text_can_be_searched_for(text):
    folded = fold_text(text)
    assert folded == fold_text(folded)
