from datetime import UTC, datetime
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.encaps import generate_frames
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    MRImageStorage,
    UltrasoundMultiFrameImageStorage,
)

from sample_data.iod import Seed
from sample_data.phantoms import brain_mr, cardiac_us, hand_cr, head_ct, write_sample

NOW = datetime(2026, 1, 2, 10, 30, tzinfo=UTC)
SLICES = 13

Sample = dict[str, list[Dataset]]


@pytest.fixture(scope="module")
def sample_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder, uid_seed="one", slices=SLICES, now=NOW)
    return folder


@pytest.fixture(scope="module")
def sample(sample_folder: Path) -> Sample:
    return {
        series.name: [dcmread(path) for path in sorted(series.iterdir())]
        for series in sample_folder.iterdir()
    }


def normal_of(dataset: Dataset) -> np.ndarray:
    orientation = np.array(dataset.ImageOrientationPatient, float)
    return np.cross(orientation[:3], orientation[3:])


def hounsfield_around(sample: Sample, x: float, y: float, z: float) -> float:
    """Return the mean of 5 x 5 pixels about a point of the head model (mm)."""
    heights = [dataset.ImagePositionPatient[2] + 700 for dataset in sample["head_ct"]]
    dataset = sample["head_ct"][int(np.argmin(np.abs(np.array(heights) - z)))]
    column, row = (int((at + 120) / dataset.PixelSpacing[0]) for at in (x, y))
    patch = dataset.pixel_array[row - 2 : row + 3, column - 2 : column + 3].astype(float)
    return float(patch.mean() * dataset.RescaleSlope + dataset.RescaleIntercept)


def as_file(dataset: Dataset) -> bytes:
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


@pytest.mark.peer
def test_dcmtk_reads_every_kind_of_file(sample_folder, dcmtk):
    files = [str(sorted(series.iterdir())[0]) for series in sorted(sample_folder.iterdir())]
    tested = dcmtk("dcmftest", *files)
    assert tested.stdout.count("yes:") == len(files) == 5
    dumped = dcmtk("dcmdump", "-q", "+P", "PatientName", *files)
    assert dumped.returncode == 0
    assert dumped.stdout.count("PHANTOM^") == len(files)


def test_each_series_is_what_it_says(sample):
    expected = {
        "head_ct": (SLICES, CTImageStorage, "CT", "PHANTOM^HEAD", "PH-0001"),
        "hand_cr_pa": (1, ComputedRadiographyImageStorage, "CR", "PHANTOM^HAND", "PH-0002"),
        "hand_cr_oblique": (1, ComputedRadiographyImageStorage, "CR", "PHANTOM^HAND", "PH-0002"),
        "brain_mr": (24, MRImageStorage, "MR", "PHANTOM^BRAIN", "PH-0003"),
        "cardiac_us": (1, UltrasoundMultiFrameImageStorage, "US", "PHANTOM^HEART", "PH-0004"),
    }
    found = {
        name: (len(datasets), first.SOPClassUID, first.Modality, first.PatientName, first.PatientID)
        for name, datasets in sample.items()
        for first in datasets[:1]
    }
    assert found == expected
    numbers = [dataset.InstanceNumber for dataset in sample["head_ct"]]
    assert numbers == list(range(1, SLICES + 1))
    assert sample["head_ct"][0].StudyDate == "20260102"
    assert len({datasets[0].AccessionNumber for datasets in sample.values()}) == 4


def test_uids_are_valid_and_belong_together(sample):
    everything = [dataset for datasets in sample.values() for dataset in datasets]
    uids = [dataset.SOPInstanceUID for dataset in everything]
    assert len(set(uids)) == len(uids)
    assert all(UID(uid).is_valid and uid.startswith("2.25.") for uid in uids)
    assert all(
        dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
        for dataset in everything
    )
    assert len({dataset.SeriesInstanceUID for dataset in everything}) == 5
    assert len({dataset.StudyInstanceUID for dataset in everything}) == 4


@pytest.mark.parametrize(
    "make",
    [
        lambda: head_ct(Seed("one"), NOW, slices=2),
        lambda: brain_mr(Seed("one"), NOW, slices=2),
        lambda: cardiac_us(Seed("one"), NOW, frames=2),
        lambda: hand_cr(Seed("one"), NOW),
    ],
    ids=["head_ct", "brain_mr", "cardiac_us", "hand_cr"],
)
def test_the_same_seed_gives_the_same_bytes(make):
    assert [as_file(dataset) for dataset in make()] == [as_file(dataset) for dataset in make()]


def test_another_seed_gives_new_instances_of_the_same_patients(sample):
    (other,) = head_ct(Seed("two"), NOW, slices=1)
    first = sample["head_ct"][0]
    assert other.PatientID == first.PatientID
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        assert other[keyword].value != first[keyword].value


@pytest.mark.parametrize("name", ["head_ct", "brain_mr"])
def test_slices_lie_one_behind_the_other_at_equal_distances(sample, name):
    datasets = sample[name]
    normal = normal_of(datasets[0])
    assert np.linalg.norm(normal) == pytest.approx(1, abs=1e-6)
    assert len({dataset.FrameOfReferenceUID for dataset in datasets}) == 1
    positions = [np.array(dataset.ImagePositionPatient, float) for dataset in datasets]
    for before, after in pairwise(positions):
        step = after - before
        assert step == pytest.approx(normal * float(datasets[0].SpacingBetweenSlices), abs=1e-3)
    locations = [float(dataset.SliceLocation) for dataset in datasets]
    assert locations == pytest.approx([float(at @ normal) for at in positions], abs=1e-2)


def test_the_mr_is_tilted_against_every_axis(sample):
    orientation = np.array(sample["brain_mr"][0].ImageOrientationPatient, float)
    assert np.all(np.abs(orientation) > 0.01)
    assert np.all(np.abs(orientation) < 0.9999)
    assert orientation[:3] @ orientation[3:] == pytest.approx(0, abs=1e-6)


def test_the_ct_has_the_hounsfield_values_of_its_tissues(sample):
    assert hounsfield_around(sample, -110, -110, 36) == pytest.approx(-1000, abs=12)
    assert hounsfield_around(sample, -29, -4, 36) == pytest.approx(66, abs=6)
    assert 10 < hounsfield_around(sample, -46, -6, 36) < 30  # oedema
    assert hounsfield_around(sample, 28, 20, 62) == pytest.approx(29, abs=5)  # white matter
    assert hounsfield_around(sample, 33, -76, -2) == pytest.approx(12, abs=6)  # eye
    assert hounsfield_around(sample, 31, -62, -36) < -900  # maxillary sinus
    vault = sample["head_ct"][SLICES // 2].pixel_array.max() - 1024.0
    assert 1000 < vault < 2000


def test_the_ct_is_stored_in_twelve_bits_with_two_named_windows(sample):
    dataset = sample["head_ct"][0]
    assert (dataset.Rows, dataset.Columns) == (512, 512)
    assert (dataset.BitsAllocated, dataset.BitsStored, dataset.PixelRepresentation) == (16, 12, 0)
    assert dataset.RescaleIntercept == -1024
    assert list(dataset.WindowCenter) == [40, 400]
    assert list(dataset.WindowWidth) == [80, 1800]
    assert list(dataset.WindowCenterWidthExplanation) == ["BRAIN", "BONE"]
    assert dataset.pixel_array.max() <= 4095


def test_the_hand_is_dark_around_in_both_photometric_interpretations(sample):
    pa, oblique = sample["hand_cr_pa"][0], sample["hand_cr_oblique"][0]
    assert pa.PhotometricInterpretation == "MONOCHROME2"
    assert oblique.PhotometricInterpretation == "MONOCHROME1"
    assert pa.BitsStored == oblique.BitsStored == 12
    for dataset, bright in (
        (pa, pa.pixel_array.astype(int)),
        (oblique, 4095 - oblique.pixel_array.astype(int)),
    ):
        assert min(bright.shape) >= 1800
        assert bright[400, 200] < 500  # beam that met nothing
        assert bright[2200, 900] > 1500  # forearm
        center = float(dataset.WindowCenter)
        assert (bright[1900:, 1350:] > 3500).sum() > 1000  # the lead marker
        assert center == (2000 if dataset is pa else 2095)


def test_the_hand_says_which_side_it_is_and_how_large_at_the_detector(sample):
    pa, oblique = sample["hand_cr_pa"][0], sample["hand_cr_oblique"][0]
    assert (pa.Laterality, oblique.ImageLaterality) == ("L", "L")
    assert list(pa.PatientOrientation) == ["L", "H"]
    assert "PixelSpacing" not in pa
    assert list(pa.ImagerPixelSpacing) == [0.125, 0.125]
    assert pa.StudyInstanceUID == oblique.StudyInstanceUID


def test_the_mr_is_compressed_without_loss():
    for compressed, native in zip(
        brain_mr(Seed("one"), NOW, slices=2),
        brain_mr(Seed("one"), NOW, slices=2, is_compressed=False),
        strict=True,
    ):
        assert compressed.file_meta.TransferSyntaxUID == JPEGLSLossless
        (frame,) = generate_frames(compressed.PixelData, number_of_frames=1)
        stored = np.frombuffer(native.PixelData, "<u2").reshape(256, 256)
        assert np.array_equal(imagecodecs.jpegls_decode(frame), stored)
        assert 1500 < stored.max() <= 4095


def test_the_echocardiogram_moves_in_colour_and_admits_its_compression(sample):
    (dataset,) = sample["cardiac_us"]
    assert dataset.file_meta.TransferSyntaxUID == JPEGBaseline8Bit
    assert dataset.PhotometricInterpretation == "YBR_FULL_422"
    assert dataset.LossyImageCompression == "01"
    assert dataset.LossyImageCompressionMethod == "ISO_10918_1"
    encoded = list(generate_frames(dataset.PixelData, number_of_frames=30))
    frames = [np.asarray(Image.open(BytesIO(frame))).astype(int) for frame in encoded]
    assert [frame.shape for frame in frames] == [(480, 640, 3)] * 30
    ratio = 30 * 480 * 640 * 3 / sum(map(len, encoded))
    assert float(dataset.LossyImageCompressionRatio) == pytest.approx(ratio, rel=0.01)
    assert all(np.abs(one - next_).mean() > 0.5 for one, next_ in pairwise(frames))
    sector = (slice(60, 430), slice(100, 560))
    reds = [int((frame[sector][..., 0] - frame[sector][..., 2] > 80).sum()) for frame in frames]
    blues = [int((frame[sector][..., 2] - frame[sector][..., 0] > 80).sum()) for frame in frames]
    assert max(reds) > 1000
    assert max(blues) > 500
    assert min(reds) < 50
