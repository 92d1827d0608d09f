import dicom_node.errors as errors
from dicom_node.errors import DIMSE_STATUS, NodeError, dimse_status


def kinds() -> list[type[NodeError]]:
    found = [NodeError]
    for kind in found:
        found.extend(kind.__subclasses__())
    return found


def test_every_kind_of_error_has_a_dimse_status():
    assert set(kinds()) == set(DIMSE_STATUS)


def test_every_kind_has_a_code_of_its_own():
    codes = [kind.code for kind in kinds()]
    assert len(set(codes)) == len(codes)


def test_no_error_is_answered_as_a_duplicate_or_a_success():
    assert not {0x0000, 0x0111} & set(DIMSE_STATUS.values())


def test_a_full_store_is_out_of_resources():
    assert dimse_status(errors.StorageFull("no disk space")) == 0xA700
