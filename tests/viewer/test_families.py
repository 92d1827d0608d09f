"""What holds no picture is named, and each family has its own sentence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import uid

from viewer import families
from viewer.decode import open_instance
from viewer.errors import UnsupportedPixels, UnsupportedTransferSyntax
from viewer.families import Family, family_of
from viewer.frame_info import frame_info

Write = Callable[..., Path]
ALL = [value for value in vars(families).values() if isinstance(value, Family)]


@pytest.mark.parametrize(
    ("sop_class_uid", "name"),
    [
        (uid.TwelveLeadECGWaveformStorage, "waveform"),
        (uid.EncapsulatedPDFStorage, "document"),
        (uid.EncapsulatedCDAStorage, "document"),
        (uid.EncapsulatedSTLStorage, "model"),
        (uid.ComprehensiveSRStorage, "report"),
        (uid.XRayRadiationDoseSRStorage, "report"),
        (uid.KeyObjectSelectionDocumentStorage, "key-objects"),
        (uid.GrayscaleSoftcopyPresentationStateStorage, "presentation-state"),
        (uid.RawDataStorage, "raw-data"),
        (uid.RTStructureSetStorage, "radiotherapy"),
        (uid.MRSpectroscopyStorage, "spectroscopy"),
        (uid.SpatialRegistrationStorage, "relation"),
        (uid.RealWorldValueMappingStorage, "relation"),
        (uid.CTImageStorage, None),
        (uid.RTDoseStorage, None),
        (uid.RTImageStorage, None),
        (uid.SegmentationStorage, None),
        (uid.EnhancedCTImageStorage, None),
        (uid.SecondaryCaptureImageStorage, None),
        ("1.2.840.10008.5.1.4.1.1.661", None),
        ("1.2.3.4", None),
        ("", None),
    ],
)
def test_classes_belong_to_their_family(sop_class_uid: str, name: str | None) -> None:
    family = family_of(sop_class_uid, uid.ExplicitVRLittleEndian)
    assert (family and family.name) == name


@pytest.mark.parametrize("syntax", [uid.MPEG2MPML, uid.MPEG4HP41, uid.HEVCMP51])
def test_videos_are_told_by_their_syntax(syntax: str) -> None:
    assert family_of(uid.VideoEndoscopicImageStorage, syntax) is families.VIDEO


def test_every_family_has_a_name_and_a_sentence_of_its_own() -> None:
    assert len({family.name for family in ALL}) == len(ALL) >= 10
    assert len({family.sentence for family in ALL}) == len(ALL)
    assert all(family.sentence.endswith(".") and family.name.islower() for family in ALL)


def test_a_video_is_named_as_such_and_says_what_to_do(write: Write) -> None:
    pixels = np.zeros((2, 2), np.uint8)
    path = write(pixels, transfer_syntax_uid=uid.MPEG4HP41, frames=[bytes(8)], NumberOfFrames=90)
    instance = open_instance(path)
    with pytest.raises(UnsupportedTransferSyntax, match="video"):
        instance.stored_frame(1)
    info = frame_info(instance, 1)
    assert (info["reason"]["code"], info["family"]) == ("unsupported-transfer-syntax", "video")
    assert "PACS" in info["reason"]["message"]


def test_an_unknown_syntax_is_a_reason_of_its_own(write: Write) -> None:
    path = write(np.zeros((2, 2), np.uint8), transfer_syntax_uid="1.2.3.4.5", frames=[bytes(8)])
    assert frame_info(open_instance(path), 1)["family"] == "transfer-syntax"


def test_an_image_without_its_pixels_is_an_image(write: Write) -> None:
    path = write(np.zeros((50, 50), np.uint8))
    raw = path.read_bytes()
    path.write_bytes(raw[: raw.index(b"\xe0\x7f\x10\x00")])
    info = frame_info(open_instance(path), 1)
    assert (info["reason"]["code"], info["family"]) == ("unsupported-pixels", "image")
    assert "missing" in info["reason"]["message"]


@pytest.mark.parametrize(
    ("name", "family"),
    [("waveform_ecg.dcm", "waveform"), ("reportsi.dcm", "report"), ("rtplan.dcm", "radiotherapy")],
)
def test_real_objects_without_pixels_say_what_they_are(
    testdata: Callable[[str], Path], name: str, family: str
) -> None:
    instance = open_instance(testdata(name))
    info = frame_info(instance, 1)
    assert (info["kind"], info["family"]) == ("none", family)
    with pytest.raises(UnsupportedPixels, match="no picture"):
        instance.stored_frame(1)


def test_a_dose_with_pixels_is_an_image_of_no_family(testdata: Callable[[str], Any]) -> None:
    assert open_instance(testdata("rtdose_1frame.dcm")).family is None
