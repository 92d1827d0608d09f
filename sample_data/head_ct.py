"""The phantom head CT: a haemorrhage in the right basal ganglia, from skull base to crown."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import CTImageStorage

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
)
from sample_data.shapes import Array, band_noise, edge, enlarge

HOUNSFIELD = Tissues(
    air=-1000,
    skin=35,
    fat=-95,
    muscle=55,
    compact_bone=1350,
    spongy_bone=620,
    csf=7,
    grey=38,
    white=29,
    deep_grey=37,
    falx=52,
    vitreous=12,
    lens=85,
    blood=66,
    oedema=18,
)
"""Usual values at 120 kV, in HU."""

PATIENT = Patient("PHANTOM^HEAD", "PH-0001", "19480229", "F")
MATRIX = 512
FIELD_OF_VIEW_MM = 240.0
LOWEST_MM, HIGHEST_MM = -38.0, 106.0
RESCALE_INTERCEPT = -1024
NOISE_HU = 4.0
NOISE_TILES = 6
THREADS = 2


def head_ct(seed: Seed, now: datetime, *, slices: int = 120) -> list[Dataset]:
    """Make the head CT.

    Parameters
    ----------
    seed : Seed
        Source of UIDs and noise.
    now : datetime
        When the study was made.
    slices : int
        Number of instances; the scanned length stays the same.

    Returns
    -------
    list of Dataset
        CT Image Storage, 512 x 512, 12 bits stored, from the skull base to the crown.
    """
    textures = make_textures(seed.random("head"))
    noise = _noise_tiles(seed)
    rest = _head_rest()
    step_mm = (HIGHEST_MM - LOWEST_MM) / max(slices - 1, 1)

    def make(index: int) -> Dataset:
        height_mm = LOWEST_MM + index * step_mm
        random = seed.random("slice", index)
        hounsfield = np.maximum(_paint_slice(textures, height_mm), rest)
        hounsfield += _grain(noise, random)
        return _dataset(seed, now, index, height_mm, step_mm, hounsfield)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(make, range(slices)))


def _grid(matrix: int) -> tuple[Array, Array]:
    """Return x and y of the pixel centres, (matrix, matrix), mm."""
    step = FIELD_OF_VIEW_MM / matrix
    axis = ((np.arange(matrix) - (matrix - 1) / 2) * step).astype(np.float32)
    x, y = np.meshgrid(axis, axis)
    return x, y


def _paint_slice(textures: Textures, height_mm: float) -> Array:
    """Paint at half the matrix: the doubling blurs as much as a soft kernel does."""
    x, y = _grid(MATRIX // 2)
    z = np.full_like(x, height_mm)
    coarse = paint_head(x, y, z, textures, HOUNSFIELD, has_bleed=True)
    hardening = 7.0 * np.exp(-(((y - 18) / 9) ** 2) - ((height_mm + 3) / 7) ** 2)
    soft = (coarse > -200) & (coarse < 200) & (np.abs(x) < 62)
    return enlarge(coarse - hardening.astype(np.float32) * soft)


def _head_rest() -> Array:
    """Return the shell the head lies in, (512, 512), HU."""
    x, y = _grid(MATRIX)
    radius = np.sqrt((x / 100) ** 2 + ((y + 2) / 108) ** 2)
    below = edge(y - 52, 4.0)
    shell = edge(1.4 - np.abs(radius - 1.055) * 104, 0.8) * below
    foam = edge(1.7 - np.abs(radius - 1.028) * 104, 0.8) * below
    return np.maximum(-1000 + 880 * shell, -1000 + 90 * foam).astype(np.float32)


def _noise_tiles(seed: Seed) -> list[Array]:
    step = FIELD_OF_VIEW_MM / MATRIX
    random = seed.random("noise")
    return [
        band_noise(random, (MATRIX, MATRIX), (step, step), (1.3, 9.0)) for _ in range(NOISE_TILES)
    ]


def _grain(tiles: list[Array], random: np.random.Generator) -> Array:
    """Mix two shifted tiles into a noise that no other slice has."""
    grain = np.zeros((MATRIX, MATRIX), np.float32)
    for index in random.choice(len(tiles), 2, replace=False):
        shift = tuple(int(step) for step in random.integers(0, MATRIX, 2))
        grain += np.roll(tiles[index], shift, (0, 1))
    return grain * np.float32(NOISE_HU / np.sqrt(2))


def _dataset(
    seed: Seed, now: datetime, index: int, height_mm: float, step_mm: float, hounsfield: Array
) -> Dataset:
    study = Study(seed.uid("ct study"), "CT1", "PRACTICE-1001", "CT head without contrast", now)
    series = Series(seed.uid("ct series"), 2, "Head 1.2 mm H31", "CT", "HEAD", "Phantom CT")
    dataset = new_dataset(CTImageStorage, seed.uid("ct", index), PATIENT, study, series, index + 1)
    step = FIELD_OF_VIEW_MM / MATRIX
    corner = -FIELD_OF_VIEW_MM / 2 + step / 2
    position = np.array([corner, corner - 160, height_mm - 700])
    orientation = np.array([1.0, 0, 0, 0, 1, 0])
    thickness = round(step_mm, 4)
    plane = Plane(position, orientation, (step, step), thickness, thickness)
    add_plane(dataset, plane, seed.uid("ct frame of reference"))
    _add_acquisition(dataset)
    add_grey_pixels(dataset, _to_stored(hounsfield), bits_stored=12)
    return dataset


def _to_stored(hounsfield: Array) -> NDArray[np.uint16]:
    stored = np.rint(hounsfield - RESCALE_INTERCEPT)
    return np.clip(stored, 0, 4095).astype(np.uint16)


def _add_acquisition(dataset: Dataset) -> None:
    """Add the CT image and VOI LUT modules (PS3.3 C.8.2.1, C.11.2)."""
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.PatientPosition = "HFS"
    dataset.AcquisitionNumber = 1
    dataset.ScanOptions = "HELICAL"
    dataset.KVP = 120
    dataset.XRayTubeCurrent = 280
    dataset.ExposureTime = 1000
    dataset.DataCollectionDiameter = 300
    dataset.ReconstructionDiameter = FIELD_OF_VIEW_MM
    dataset.GantryDetectorTilt = 0
    dataset.ConvolutionKernel = "H31"
    dataset.RescaleIntercept = RESCALE_INTERCEPT
    dataset.RescaleSlope = 1
    dataset.RescaleType = "HU"
    dataset.WindowCenter = [40, 400]
    dataset.WindowWidth = [80, 1800]
    dataset.WindowCenterWidthExplanation = ["BRAIN", "BONE"]
