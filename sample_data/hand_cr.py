"""The phantom radiographs of a left hand: one view bright for bone, one stored the other way."""

from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import ComputedRadiographyImageStorage

from sample_data.hand_model import (
    FLESH_PER_MM,
    LEAD,
    Bone,
    View,
    bone_absorption,
    bones,
    flesh,
    flesh_thickness,
    marker_mask,
)
from sample_data.iod import Patient, Seed, Series, Study, add_grey_pixels, new_dataset
from sample_data.shapes import Array, band_noise, enlarge

PATIENT = Patient("PHANTOM^HAND", "PH-0002", "19910905", "M")
ROWS, COLUMNS = 2400, 1800
SPACING_MM = 0.125
WRIST_ROW_MM = 226.0
WHITEST = 4095
COLLIMATOR_MM = 7.0

PA = View(turn_degrees=0, tilt_degrees=1.5)
OBLIQUE = View(turn_degrees=-43, tilt_degrees=-4)


def hand_cr(seed: Seed, now: datetime) -> list[Dataset]:
    """Make the radiographs of a left hand, posteroanterior and oblique.

    Parameters
    ----------
    seed : Seed
        Source of UIDs and noise.
    now : datetime
        When the study was made.

    Returns
    -------
    list of Dataset
        Two of CR Image Storage, 2400 x 1800, 12 bits stored, each in a series of its own: the
        first MONOCHROME2 with (0020,0060) Laterality, the second MONOCHROME1 with (0020,0062)
        Image Laterality.
    """
    half = (ROWS // 2, COLUMNS // 2)
    tile = band_noise(seed.random("grain"), half, (SPACING_MM, SPACING_MM), (0.5, 2.4))
    grain = np.tile(tile, (2, 2))
    views = [(PA, ["L", "H"]), (OBLIQUE, ["LA", "H"])]
    return [
        _dataset(seed, now, index, _expose(view, grain, seed.random("hand", index)), orientation)
        for index, (view, orientation) in enumerate(views)
    ]


def _coordinates(step: int = 1) -> tuple[Array, Array]:
    """Return x and y of every `step`-th block of pixels in the system of the detector, mm."""
    spacing = SPACING_MM * step
    across = (np.arange(COLUMNS // step) + 0.5) * spacing - COLUMNS * SPACING_MM / 2 - 4
    up = WRIST_ROW_MM - (np.arange(ROWS // step) + 0.5) * spacing
    x, y = np.meshgrid(across.astype(np.float32), up.astype(np.float32))
    return x, y


def _expose(view: View, grain: Array, random: np.random.Generator) -> NDArray[np.uint16]:
    """Return the processed radiograph, 0 for the unhindered beam to 4095 for no beam."""
    straight = _coordinates()
    x, y = _wobble(*straight, random)
    flesh_part = _flesh_absorption(view)
    absorption = flesh_part.copy()
    for bone in bones():
        placed = view.place_bone(bone)
        rows, columns = _window(placed)
        here = absorption[rows, columns]
        added = bone_absorption(placed, x[rows, columns], y[rows, columns], grain[rows, columns])
        flesh_only = flesh_part[rows, columns]
        here[...] = np.maximum(here, flesh_only + added) if bone.is_fused else here + added
    absorption += 0.012 * np.roll(grain, 700, 0) * (absorption > 0.02)
    absorption[marker_mask(*straight, (62, -38), 14)] = LEAD
    bright = 190 + 3700 * (1 - np.exp(-1.35 * absorption))
    noise = random.standard_normal((ROWS, COLUMNS), dtype=np.float32)
    bright += noise * (9 + 10 * np.exp(-absorption))
    return _collimate(np.clip(np.rint(bright), 0, WHITEST)).astype(np.uint16)


def _wobble(x: Array, y: Array, random: np.random.Generator) -> tuple[Array, Array]:
    """Bend the coordinates, most at the wrist, so that nothing looks drawn with compasses."""
    at_wrist = np.exp(-(((y - 17) / 17) ** 4))
    bent = []
    for axis in (x, y):
        short = _bend(random, (8.0, 30.0)) * at_wrist
        bent.append(axis + 0.45 * short + 0.45 * _bend(random, (28.0, 80.0)))
    return bent[0], bent[1]


def _bend(random: np.random.Generator, wavelengths_mm: tuple[float, float]) -> Array:
    """Return smooth noise for the whole detector, standard deviation 1."""
    step = SPACING_MM * 8
    coarse = band_noise(random, (ROWS // 8, COLUMNS // 8), (step, step), wavelengths_mm)
    return enlarge(enlarge(enlarge(coarse)))


def _flesh_absorption(view: View) -> Array:
    x, y = _coordinates(step=4)
    thickness = flesh_thickness([view.place_flesh(part) for part in flesh()], x, y)
    return enlarge(enlarge(thickness)) * np.float32(FLESH_PER_MM)


def _window(bone: Bone) -> tuple[slice, slice]:
    """Return the rows and columns a bone can touch."""
    reach = max(bone.widths) * 1.1 + 1
    left, right = sorted((bone.start[0], bone.end[0]))
    low, high = sorted((bone.start[1], bone.end[1]))
    offset = COLUMNS * SPACING_MM / 2 + 4
    return (
        _span(WRIST_ROW_MM - high - reach, WRIST_ROW_MM - low + reach),
        _span(left - reach + offset, right + reach + offset),
    )


def _span(first_mm: float, last_mm: float) -> slice:
    return slice(max(int(first_mm / SPACING_MM), 0), max(int(last_mm / SPACING_MM) + 1, 0))


def _collimate(bright: Array) -> Array:
    """Blacken what the collimator kept from the beam, as the console does."""
    edge = int(COLLIMATOR_MM / SPACING_MM)
    shut = np.zeros_like(bright)
    shut[edge:-edge, edge:-edge] = bright[edge:-edge, edge:-edge]
    return shut


def _dataset(
    seed: Seed, now: datetime, index: int, bright: NDArray[np.uint16], orientation: list[str]
) -> Dataset:
    is_inverse = index == 1
    study = Study(seed.uid("cr study"), "CR1", "PRACTICE-1002", "Hand left, two views", now)
    series = Series(
        seed.uid("cr series", index),
        index + 1,
        "Hand left oblique" if is_inverse else "Hand left PA",
        "CR",
        "HAND",
        "Phantom CR",
    )
    dataset = new_dataset(
        ComputedRadiographyImageStorage, seed.uid("cr", index), PATIENT, study, series, 1
    )
    _add_acquisition(dataset, orientation)
    if is_inverse:
        dataset.ViewPosition = ""
        dataset.ImageLaterality = "L"
        dataset.PhotometricInterpretation = "MONOCHROME1"
    else:
        dataset.ViewPosition = "PA"
        dataset.Laterality = "L"
        dataset.PhotometricInterpretation = "MONOCHROME2"
    stored = WHITEST - bright if is_inverse else bright
    dataset.WindowCenter = WHITEST - 2000 if is_inverse else 2000
    dataset.WindowWidth = 3500
    add_grey_pixels(dataset, stored.astype(np.uint16), bits_stored=12)
    return dataset


def _add_acquisition(dataset: Dataset, orientation: list[str]) -> None:
    """Add the CR series and image modules (PS3.3 C.8.1.1, C.8.1.2)."""
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.AcquisitionNumber = 1
    dataset.PatientOrientation = orientation
    dataset.ImagerPixelSpacing = [SPACING_MM, SPACING_MM]
    dataset.KVP = 50
    dataset.Exposure = 3
    dataset.DistanceSourceToDetector = 1100
    dataset.PlateID = "PRACTICE"
    dataset.BurnedInAnnotation = "NO"
