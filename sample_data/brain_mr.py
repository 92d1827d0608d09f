"""The phantom brain MR: a T2 series whose planes are tilted against every axis of the body."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import JPEGLSLossless, MRImageStorage

from sample_data.head_model import paint_head
from sample_data.head_tissues import Textures, Tissues, make_textures
from sample_data.iod import (
    Patient,
    Plane,
    Seed,
    Series,
    Study,
    add_grey_pixels,
    add_plane,
    new_dataset,
    set_encapsulated,
)
from sample_data.shapes import Array, band_noise

T2_SIGNAL = Tissues(
    air=0,
    skin=300,
    fat=900,
    muscle=230,
    compact_bone=30,
    spongy_bone=230,
    csf=1800,
    grey=830,
    white=600,
    deep_grey=700,
    falx=220,
    vitreous=1900,
    lens=220,
    blood=300,
    oedema=1300,
)
"""Signal as it is stored, no unit."""

PATIENT = Patient("PHANTOM^BRAIN", "PH-0003", "19750614", "M")
MATRIX = 256
FIELD_OF_VIEW_MM = 230.0
SLICE_THICKNESS_MM = 4.0
SPACING_MM = 4.8
NOISE = 16.0
MIDDLE_MM = (2.0, -2.0, 34.0)
TILT_DEGREES = (-14.0, 5.0, 4.0)
"""Rotation about the left-right, front-back and foot-head axes."""

THREADS = 2


def brain_mr(
    seed: Seed, now: datetime, *, slices: int = 24, is_compressed: bool = True
) -> list[Dataset]:
    """Make the brain MR.

    Parameters
    ----------
    seed : Seed
        Source of UIDs and noise.
    now : datetime
        When the study was made.
    slices : int
        Number of instances, 4.8 mm apart.
    is_compressed : bool
        JPEG-LS lossless, otherwise native.

    Returns
    -------
    list of Dataset
        MR Image Storage, 256 x 256, 12 bits stored, from low to high.
    """
    textures = make_textures(seed.random("brain"))
    axes = _oblique_axes()
    shading = _coil_shading(seed)

    def make(index: int) -> Dataset:
        centre = np.array(MIDDLE_MM) + axes[2] * (index - (slices - 1) / 2) * SPACING_MM
        signal = _paint_slice(textures, centre, axes) * shading
        stored = _with_noise(signal, seed.random("mr", index))
        return _dataset(seed, now, index, (centre, axes), stored, is_compressed=is_compressed)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(make, range(slices)))


def _oblique_axes() -> NDArray[np.float64]:
    """Return the directions of row, column and normal, (3, 3), as its rows."""
    axes = np.eye(3)
    for axis, degrees in enumerate(TILT_DEGREES):
        angle = np.deg2rad(degrees)
        first, second = [other for other in range(3) if other != axis]
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        axes = axes @ turn
    return axes


def _paint_slice(
    textures: Textures, centre: NDArray[np.float64], axes: NDArray[np.float64]
) -> Array:
    step = FIELD_OF_VIEW_MM / MATRIX
    offsets = (np.arange(MATRIX) - (MATRIX - 1) / 2) * step
    along_row, along_column = np.meshgrid(offsets, offsets)
    x, y, z = (
        (centre[axis] + along_row * axes[0, axis] + along_column * axes[1, axis]).astype(np.float32)
        for axis in range(3)
    )
    return paint_head(x, y, z, textures, T2_SIGNAL, has_bleed=False)


def _coil_shading(seed: Seed) -> Array:
    step = FIELD_OF_VIEW_MM / MATRIX
    noise = band_noise(seed.random("coil"), (MATRIX, MATRIX), (step, step), (160.0, 400.0))
    return (1 + 0.05 * noise).astype(np.float32)


def _with_noise(signal: Array, random: np.random.Generator) -> NDArray[np.uint16]:
    """Return the magnitude of signal and complex noise, as the scanner does."""
    real, imaginary = random.standard_normal((2, MATRIX, MATRIX), dtype=np.float32) * NOISE
    magnitude = np.sqrt((signal + real) ** 2 + imaginary**2)
    stored: NDArray[np.uint16] = np.clip(np.rint(magnitude), 0, 4095).astype(np.uint16)
    return stored


def _dataset(
    seed: Seed,
    now: datetime,
    index: int,
    place: tuple[NDArray[np.float64], NDArray[np.float64]],
    stored: NDArray[np.uint16],
    *,
    is_compressed: bool,
) -> Dataset:
    study = Study(seed.uid("mr study"), "MR1", "PRACTICE-1003", "MR brain", now)
    series = Series(seed.uid("mr series"), 3, "T2 TSE oblique", "MR", "BRAIN", "Phantom MR")
    dataset = new_dataset(MRImageStorage, seed.uid("mr", index), PATIENT, study, series, index + 1)
    centre, axes = place
    step = FIELD_OF_VIEW_MM / MATRIX
    to_corner = (MATRIX - 1) / 2 * step
    position = centre - (axes[0] + axes[1]) * to_corner
    plane = Plane(position, axes[:2].reshape(6), (step, step), SLICE_THICKNESS_MM, SPACING_MM)
    add_plane(dataset, plane, seed.uid("mr frame of reference"))
    _add_acquisition(dataset)
    add_grey_pixels(dataset, stored, bits_stored=12)
    if is_compressed:
        set_encapsulated(dataset, [bytes(imagecodecs.jpegls_encode(stored))], JPEGLSLossless)
    return dataset


def _add_acquisition(dataset: Dataset) -> None:
    """Add the MR image and VOI LUT modules (PS3.3 C.8.3.1, C.11.2)."""
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "SE"]
    dataset.PatientPosition = "HFS"
    dataset.AcquisitionNumber = 1
    dataset.ScanningSequence = "SE"
    dataset.SequenceVariant = "SK"
    dataset.ScanOptions = ""
    dataset.MRAcquisitionType = "2D"
    dataset.RepetitionTime = 5200
    dataset.EchoTime = 96
    dataset.EchoTrainLength = 15
    dataset.MagneticFieldStrength = 1.5
    dataset.FlipAngle = 150
    dataset.InPlanePhaseEncodingDirection = "ROW"
    dataset.WindowCenter = 900
    dataset.WindowWidth = 1800
