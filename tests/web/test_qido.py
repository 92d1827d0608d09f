from collections.abc import Callable

import pytest
from pydicom.dataset import FileDataset
from werkzeug.datastructures import MultiDict

from dicom_node.index import IndexReader
from dicom_node.settings import Settings
from web import qido
from web.errors import BadParameter


@pytest.fixture
def names(keeper, settings: Settings, make_instance: Callable[..., FileDataset]):
    """Search studies; returns the patients' names found."""
    for name, patient_id, date, modality, description in (
        ("ADAMS^Ann", "A1", "20260101", "CT", "Head"),
        ("BAKER^Bob", "B1", "20260102", "MR", "Knee right"),
        ("CLARK^Cat", "C1", "20260103", "CR", "Hand left"),
    ):
        keeper.keep(
            make_instance(
                PatientName=name,
                PatientID=patient_id,
                StudyDate=date,
                Modality=modality,
                StudyDescription=description,
            )
        )
    reader = IndexReader(settings.node.data / "index.sqlite")

    def search(**parameters: str) -> list[str]:
        found = qido.find_studies(reader, qido.read_search(MultiDict(parameters)))
        return [study.patient_name.split("^")[0] for study in found]

    yield search
    reader.close()


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({}, ["CLARK", "BAKER", "ADAMS"]),
        ({"PatientName": "baker*"}, ["BAKER"]),
        ({"00100010": "*a?x*"}, []),
        ({"PatientName": "*A*"}, ["CLARK", "BAKER", "ADAMS"]),
        ({"PatientID": "B1"}, ["BAKER"]),
        ({"00100020": "?1"}, ["CLARK", "BAKER", "ADAMS"]),
        ({"StudyDate": "20260102"}, ["BAKER"]),
        ({"StudyDate": "20260102-"}, ["CLARK", "BAKER"]),
        ({"StudyDate": "-20260101"}, ["ADAMS"]),
        ({"ModalitiesInStudy": "MR"}, ["BAKER"]),
        ({"ModalitiesInStudy": "MR,CR"}, ["CLARK", "BAKER"]),
        ({"StudyDescription": "*left"}, ["CLARK"]),
        ({"StudyTime": "030000-040000"}, ["CLARK", "BAKER", "ADAMS"]),
        ({"StudyTime": "-0200"}, []),
        ({"PatientBirthDate": "19700101", "PatientSex": "O"}, ["CLARK", "BAKER", "ADAMS"]),
        ({"PatientBirthDate": "19700102"}, []),
        ({"NumberOfStudyRelatedInstances": "1"}, ["CLARK", "BAKER", "ADAMS"]),
    ],
)
def test_studies_are_matched(names, parameters: dict[str, str], found: list[str]) -> None:
    assert names(**parameters) == found


def test_a_list_of_uids_finds_each(names, settings: Settings) -> None:
    reader = IndexReader(settings.node.data / "index.sqlite")
    uids = [study.study_instance_uid for study in qido.find_studies(reader, qido.Search())]
    reader.close()
    assert len(names(StudyInstanceUID=",".join(uids[:2]))) == 2


@pytest.mark.parametrize(
    "parameters",
    [
        {"EyeColour": "blue"},
        {"00100030X": "1"},
        {"99990001": "1"},
        {"StudyDate": "tomorrow"},
        {"StudyDate": "2026-01-02"},
        {"limit": "-1"},
        {"limit": "ten"},
        {"offset": "99999999999"},
    ],
)
def test_what_cannot_be_searched_by_is_refused(parameters: dict[str, str]) -> None:
    with pytest.raises(BadParameter):
        qido.read_search(MultiDict(parameters))


def test_control_parameters_are_understood() -> None:
    search = qido.read_search(
        MultiDict({"limit": "5", "offset": "2", "includefield": "all", "fuzzymatching": "true"})
    )
    assert (search.limit, search.offset, search.is_fuzzy, search.study) == (5, 2, True, {})


def test_no_answer_is_larger_than_the_cap() -> None:
    assert qido.read_search(MultiDict({"limit": "999999"})).limit == qido.MOST_RESULTS


def test_a_name_has_its_groups_in_json() -> None:
    element = qido.element("PatientName", "Yamada^Tarou=山田^太郎")
    assert element == {
        "00100010": {
            "vr": "PN",
            "Value": [{"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎"}],
        }
    }
    assert qido.element("StudyDate", "") == {"00080020": {"vr": "DA"}}
