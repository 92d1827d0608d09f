"""A length says what it means, and a value that cannot be one is not measured with."""

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from viewer.calibration import PixelSpacing, pixel_aspect_ratio, pixel_spacing


def header_with(**elements: object) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


AXIAL = [1, 0, 0, 0, 1, 0]


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({}, PixelSpacing()),
        ({"PixelSpacing": [0.5, 0.4], "Modality": "CT"}, PixelSpacing(0.5, 0.4, "patient")),
        ({"PixelSpacing": [0.5, 0.4], "Modality": "CR"}, PixelSpacing(0.5, 0.4, "unknown")),
        (
            {"PixelSpacing": [1, 1], "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7.2"},
            PixelSpacing(1, 1, "unknown"),
        ),
        (
            {
                "PixelSpacing": [1, 1],
                "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7",
                "ImageOrientationPatient": AXIAL,
            },
            PixelSpacing(1, 1, "patient"),
        ),
        (
            {"PixelSpacing": [0.2, 0.2], "ImagerPixelSpacing": [0.2, 0.2]},
            PixelSpacing(0.2, 0.2, "detector"),
        ),
        (
            {"PixelSpacing": [0.15, 0.15], "ImagerPixelSpacing": [0.2, 0.2]},
            PixelSpacing(0.15, 0.15, "calibrated"),
        ),
        (
            {"PixelSpacing": [0.2, 0.2], "NominalScannedPixelSpacing": [0.2, 0.2]},
            PixelSpacing(0.2, 0.2, "detector"),
        ),
        ({"ImagerPixelSpacing": [0.2, 0.2]}, PixelSpacing(0.2, 0.2, "detector")),
        ({"NominalScannedPixelSpacing": [0.2, 0.2]}, PixelSpacing(0.2, 0.2, "detector")),
        (
            {"ImagerPixelSpacing": [0.3, 0.3], "EstimatedRadiographicMagnificationFactor": 1.5},
            PixelSpacing(pytest.approx(0.2), pytest.approx(0.2), "estimated", magnification=1.5),
        ),
        (
            {
                "PixelSpacing": [0.5, 0.5],
                "PixelSpacingCalibrationType": "FIDUCIAL",
                "PixelSpacingCalibrationDescription": "25 mm ball",
            },
            PixelSpacing(0.5, 0.5, "calibrated", "FIDUCIAL", "25 mm ball"),
        ),
        (
            {
                "PixelSpacing": [0.2, 0.2],
                "ImagerPixelSpacing": [0.2, 0.2],
                "PixelSpacingCalibrationType": "FIDUCIAL",
            },
            PixelSpacing(0.2, 0.2, "calibrated", "FIDUCIAL"),
        ),
    ],
)
def test_spacing_says_where_it_comes_from(
    elements: dict[str, object], expected: PixelSpacing
) -> None:
    assert pixel_spacing(header_with(**elements), 0) == expected


@pytest.mark.parametrize(
    "value", [[0, 0.4], [0, 0], [-0.5, 0.5], [0.5], [500, 500], [1e-9, 1e-9], [0.001, 1]]
)
def test_an_impossible_size_is_refused_with_the_reason(value: list[float]) -> None:
    found = pixel_spacing(header_with(PixelSpacing=value, Modality="CT"), 0)
    assert (found.row, found.column, found.origin) == (None, None, "none")
    assert found.refused
    assert found.unit_words == "px"


def test_an_impossible_pixel_spacing_leaves_the_detectors_own() -> None:
    header = header_with(PixelSpacing=[0, 0], ImagerPixelSpacing=[0.2, 0.2], Modality="DX")
    found = pixel_spacing(header, 0)
    assert (found.row, found.origin) == (0.2, "detector")
    assert "Pixel Spacing" in found.refused


@pytest.mark.parametrize("factor", [-1.5, 0, 0.5, 400])
def test_an_impossible_magnification_is_not_divided_by(factor: float) -> None:
    header = header_with(
        ImagerPixelSpacing=[0.3, 0.3], EstimatedRadiographicMagnificationFactor=factor
    )
    found = pixel_spacing(header, 0)
    assert (found.row, found.origin, found.magnification) == (0.3, "detector", None)
    assert found.refused


@pytest.mark.parametrize("pixel", [[0.4, 0.4], [0.1, 0.15]])
def test_geometry_that_no_magnification_explains_is_refused(pixel: list[float]) -> None:
    header = header_with(
        PixelSpacing=pixel, ImagerPixelSpacing=[0.2, 0.2], PixelSpacingCalibrationType="GEOMETRY"
    )
    assert pixel_spacing(header, 0).origin == "none"


def test_every_origin_has_words_for_its_unit() -> None:
    words = {
        pixel_spacing(header_with(**elements), 0).unit_words
        for elements in (
            {},
            {"ImagerPixelSpacing": [1, 1]},
            {"PixelSpacing": [1, 1]},
            {"PixelSpacing": [1, 1], "Modality": "XA"},
            {"PixelSpacing": [1, 1], "PixelSpacingCalibrationType": "GEOMETRY"},
            {"ImagerPixelSpacing": [1, 1], "EstimatedRadiographicMagnificationFactor": 2},
        )
    }
    assert words == {
        "px",
        "mm at detector",
        "mm",
        "mm at detector or unknown",
        "mm calibrated",
        "mm estimated",
    }


def test_aspect_ratio_counts_only_without_spacing() -> None:
    assert pixel_aspect_ratio(header_with(PixelAspectRatio=[2, 1]), 0) == (2, 1)
    both = header_with(PixelAspectRatio=[2, 1], PixelSpacing=[0.5, 0.5])
    assert pixel_aspect_ratio(both, 0) == (0.5, 0.5)
    unequal = header_with(PixelSpacing=[1.0, 0.5])
    assert pixel_aspect_ratio(unequal, 0) == (1.0, 0.5)
    for nonsense in ([0, 1], [1000, 1], [-4, 3]):
        assert pixel_aspect_ratio(header_with(PixelAspectRatio=nonsense), 0) == (1, 1)


def test_an_enhanced_frame_has_the_spacing_of_its_functional_group() -> None:
    measures = header_with(PixelSpacing=[0.7, 0.7])
    shared = header_with(PixelMeasuresSequence=Sequence([measures]))
    header = header_with(SharedFunctionalGroupsSequence=Sequence([shared]), Modality="MR")
    assert pixel_spacing(header, 3) == PixelSpacing(0.7, 0.7, "patient")
