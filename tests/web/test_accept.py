import pytest

from web.accept import accepted_forms, fits
from web.errors import BadParameter


def test_forms_are_sorted_by_quality_and_refused_ones_left_out() -> None:
    forms = accepted_forms("image/png;q=0.5, image/jpeg, image/gif;q=0")
    assert [form.media_type for form in forms] == ["image/jpeg", "image/png"]


def test_a_multipart_form_names_the_type_of_its_parts() -> None:
    [form] = accepted_forms('multipart/related; type="application/dicom"; transfer-syntax=*')
    assert form.takes_parts("application/dicom")
    assert not form.takes_parts("image/jpeg")
    assert not form.takes("application/dicom")
    assert form.transfer_syntax_uid == "*"


def test_no_header_accepts_everything() -> None:
    [form] = accepted_forms("")
    assert form.takes("image/png")
    assert form.takes_parts("image/jpeg")


def test_the_parameter_counts_before_the_header() -> None:
    [form] = accepted_forms("image/jpeg", ["image/png"])
    assert form.media_type == "image/png"


def test_a_quality_that_is_no_number_is_refused() -> None:
    with pytest.raises(BadParameter):
        accepted_forms("image/png;q=high")


def test_ranges_cover_their_kind_only() -> None:
    assert fits("image/*", "image/png")
    assert not fits("image/*", "imagery/png")
    assert not fits("image/png", "image/jpeg")
