"""The phantom echocardiogram: one beat in colour, JPEG compressed as ultrasound machines do."""

from datetime import datetime
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom import Dataset
from pydicom.uid import JPEGBaseline8Bit, UltrasoundMultiFrameImageStorage

from sample_data.heart_model import Beat, beat_at, echoes, flow
from sample_data.iod import Patient, Seed, Series, Study, new_dataset, set_encapsulated
from sample_data.shapes import Array, band_noise, edge

PATIENT = Patient("PHANTOM^HEART", "PH-0004", "19620311", "F")
ROWS, COLUMNS = 480, 640
APEX_ROW, APEX_COLUMN = 26.0, 314.0
DEPTH_CM = 16.0
PX_PER_CM = 26.0
HALF_ANGLE = np.deg2rad(39.0)
FRAME_TIME_MS = 33.3
QUALITY = 88
DOPPLER_ANGLES = (np.deg2rad(-7.0), np.deg2rad(21.0))
DOPPLER_DEPTHS_CM = (5.2, 12.6)

Picture = NDArray[np.uint8]


class _Probe:
    """What stays the same from frame to frame: where each point lies, and the grain.

    The sector is made of every second pixel and then enlarged: echoes are no sharper than that.
    """

    def __init__(self, seed: Seed) -> None:
        rows, columns = np.mgrid[0.5:ROWS:2, 0.5:COLUMNS:2].astype(np.float32)
        self.across: Array = (columns - np.float32(APEX_COLUMN)) / np.float32(PX_PER_CM)
        self.depth: Array = (rows - np.float32(APEX_ROW)) / np.float32(PX_PER_CM)
        self.radius: Array = np.hypot(self.across, self.depth)
        self.angle: Array = np.arctan2(self.across, np.maximum(self.depth, 1e-3))
        inside = np.minimum(DEPTH_CM - self.radius, (HALF_ANGLE - np.abs(self.angle)) * 8)
        self.sector: Array = edge(np.minimum(inside, self.radius - 0.25).astype(np.float32), 0.06)
        random = seed.random("us")
        self.speckle = [_speckle(random) for _ in range(2)]
        step = 2 / PX_PER_CM
        self.roughness = band_noise(random, self.across.shape, (step, step), (1.0, 5.0))
        self.gain = self._gain()

    def grain(self, squeeze: float, layer: int) -> Array:
        """Return the speckle, moved along the beam with the tissue."""
        texture = self.speckle[layer]
        along = (self.radius * 24 + 9 * squeeze).astype(np.intp) % texture.shape[0]
        beside = ((self.angle + 1) * 130).astype(np.intp) % texture.shape[1]
        moved: Array = texture[along, beside]
        return moved

    def _gain(self) -> Array:
        """Fade towards the edges and in depth; a bright haze at the skin."""
        sideways = np.cos(np.clip(self.angle / HALF_ANGLE, -1, 1) * 1.2)
        haze = 1 + 5 * np.exp(-((self.radius / 0.8) ** 2))
        return np.asarray(sideways * haze * np.exp(-self.radius / 30), dtype=np.float32)


def _speckle(random: np.random.Generator) -> Array:
    """Return the interference pattern in (distance, angle), mean 1."""
    parts = [band_noise(random, (512, 400), (1.0, 1.0), (3.2, 60.0)) for _ in range(2)]
    return np.asarray(np.hypot(parts[0], parts[1]) / 1.25, dtype=np.float32)


def cardiac_us(seed: Seed, now: datetime, *, frames: int = 30) -> list[Dataset]:
    """Make the echocardiogram.

    Parameters
    ----------
    seed : Seed
        Source of UIDs and noise.
    now : datetime
        When the study was made.
    frames : int
        Number of frames; together they are one beat, so that they can be played in a loop.

    Returns
    -------
    list of Dataset
        One of Ultrasound Multi-frame Image Storage, 480 x 640, YBR_FULL_422 in JPEG Baseline.
    """
    probe = _Probe(seed)
    furniture = _furniture()
    encoded = []
    for index in range(frames):
        picture = _render(probe, index / frames, seed.random("blood", index))
        picture = np.maximum(picture, furniture)
        _draw_heartbeat(picture, index / frames)
        encoded.append(_encode(picture))
    return [_dataset(seed, now, encoded)]


def _render(probe: _Probe, phase: float, random: np.random.Generator) -> Picture:
    beat = beat_at(phase)
    strength = echoes(probe.across, probe.depth, beat, probe.roughness)
    received = strength * probe.grain(beat.squeeze, 0) * probe.gain
    noise = random.random(strength.shape, dtype=np.float32) * 0.003 * probe.radius / 8
    level = 0.66 + 0.33 * np.log10(received + noise + 1e-4)
    grey = np.clip(level, 0, 1) * probe.sector * 255
    picture = np.repeat(grey.astype(np.uint8)[..., np.newaxis], 3, axis=2)
    _colour_flow(picture, probe, beat)
    return np.asarray(Image.fromarray(picture).resize((COLUMNS, ROWS), Image.Resampling.BICUBIC))


def _colour_flow(picture: Picture, probe: _Probe, beat: Beat) -> None:
    """Lay the blood flow over the grey picture: red towards the probe, blue away from it."""
    first, last = DOPPLER_ANGLES
    near, far = DOPPLER_DEPTHS_CM
    box = (probe.angle > first) & (probe.angle < last)
    box &= (probe.radius > near) & (probe.radius < far)
    speed = flow(probe.across, probe.depth, beat) * (0.75 + 0.25 * probe.grain(0, 1))
    shown = box & (np.abs(speed) > 0.16)
    picture[shown] = _flow_colours(speed[shown])


def _flow_colours(speed: Array) -> Picture:
    """Return (n, 3) colours for speeds from -1 to 1."""
    fast = np.clip(np.abs(speed), 0, 1)
    main = 90 + 165 * fast
    bright = np.clip(fast * 2 - 0.8, 0, 1) * 235
    dim = np.zeros_like(fast)
    towards = np.stack([main, bright, dim], axis=-1)
    away = np.stack([dim, bright, main], axis=-1)
    return np.where((speed > 0)[..., np.newaxis], towards, away).astype(np.uint8)


def _furniture() -> Picture:
    """Draw what surrounds the sector: depth scale, colour bar, settings."""
    picture = np.zeros((ROWS, COLUMNS, 3), np.uint8)
    bar = np.linspace(1, -1, 110, dtype=np.float32)
    picture[40:150, 606:618] = _flow_colours(bar)[:, np.newaxis]
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(11)
    for centimetre in range(int(DEPTH_CM) + 1):
        row = APEX_ROW + centimetre * PX_PER_CM
        length = 8 if centimetre % 5 == 0 else 4
        draw.line([(586 - length, row), (586, row)], fill=(200, 200, 200))
        if centimetre % 5 == 0:
            draw.text((590, row - 7), str(centimetre), fill=(200, 200, 200), font=font)
    draw.text((600, 24), "+62", fill=(200, 200, 200), font=font)
    draw.text((600, 152), "-62", fill=(200, 200, 200), font=font)
    draw.text((600, 166), "cm/s", fill=(200, 200, 200), font=font)
    settings = ["PRACTICE PHANTOM", "Adult echo", "30 Hz", "16 cm", "2D 64%", "CF 2.5 MHz"]
    for line, text in enumerate(settings):
        draw.text((10, 24 + 15 * line), text, fill=(170, 190, 200), font=font)
    draw.polygon(_doppler_box(), outline=(170, 170, 170))
    draw.polygon([(308, 14), (320, 14), (314, 22)], fill=(220, 200, 90))
    return np.asarray(image)


def _doppler_box() -> list[tuple[float, float]]:
    """Return the outline of the colour box as (column, row)."""
    sweep = np.linspace(*DOPPLER_ANGLES, 24)
    near, far = DOPPLER_DEPTHS_CM
    corners = [(near, angle) for angle in sweep] + [(far, angle) for angle in sweep[::-1]]
    return [
        (
            APEX_COLUMN + radius * PX_PER_CM * float(np.sin(angle)),
            APEX_ROW + radius * PX_PER_CM * float(np.cos(angle)),
        )
        for radius, angle in corners
    ]


def _draw_heartbeat(picture: Picture, phase: float) -> None:
    """Draw the ECG under the sector, with a mark at the moment of this frame."""
    columns = np.arange(20, 560)
    time = (columns - 20) / 540 * 2 % 1
    trace = np.zeros(len(columns))
    for middle, width, height in (
        (0.86, 0.03, 4),
        (0.985, 0.008, -3),
        (0.005, 0.010, 26),
        (0.03, 0.009, -6),
        (0.30, 0.045, 7),
    ):
        distance = np.minimum(np.abs(time - middle), 1 - np.abs(time - middle))
        trace += height * np.exp(-((distance / width) ** 2))
    rows = (466 - trace).astype(int)
    for column, row, next_row in zip(columns, rows, [*rows[1:], rows[-1]], strict=True):
        low, high = sorted((row, next_row))
        picture[low : high + 1, column] = (70, 220, 110)
    mark = 20 + int(phase * 270)
    picture[440:474, mark] = (220, 220, 220)


def _encode(picture: Picture) -> bytes:
    stream = BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=QUALITY, subsampling="4:2:2")
    return stream.getvalue()


def _dataset(seed: Seed, now: datetime, encoded: list[bytes]) -> Dataset:
    study = Study(seed.uid("us study"), "US1", "PRACTICE-1004", "Echocardiography", now)
    series = Series(
        seed.uid("us series"), 1, "Apical four chambers, colour", "US", "HEART", "Phantom US"
    )
    dataset = new_dataset(
        UltrasoundMultiFrameImageStorage, seed.uid("us"), PATIENT, study, series, 1
    )
    _add_cine(dataset, len(encoded))
    _add_colour_pixels(dataset)
    size = sum(map(len, encoded))
    dataset.LossyImageCompression = "01"
    dataset.LossyImageCompressionRatio = f"{len(encoded) * ROWS * COLUMNS * 3 / size:.2f}"
    dataset.LossyImageCompressionMethod = "ISO_10918_1"
    set_encapsulated(dataset, encoded, JPEGBaseline8Bit)
    return dataset


def _add_cine(dataset: Dataset, frames: int) -> None:
    """Add the multi-frame, cine and US image modules (PS3.3 C.7.6.5, C.7.6.6, C.8.5.6)."""
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "", "0011"]
    dataset.NumberOfFrames = frames
    dataset.FrameIncrementPointer = 0x00181063
    dataset.FrameTime = FRAME_TIME_MS
    dataset.CineRate = dataset.RecommendedDisplayFrameRate = 30
    dataset.HeartRate = 60
    dataset.PatientOrientation = ""
    dataset.BurnedInAnnotation = "NO"
    dataset.SequenceOfUltrasoundRegions = [_region()]


def _region() -> Dataset:
    """Return the calibration of the sector (PS3.3 C.8.5.5)."""
    region = Dataset()
    region.RegionSpatialFormat = 1
    region.RegionDataType = 1
    region.RegionFlags = 0
    half_width = int(DEPTH_CM * PX_PER_CM * np.sin(HALF_ANGLE))
    region.RegionLocationMinX0 = int(APEX_COLUMN) - half_width
    region.RegionLocationMinY0 = int(APEX_ROW)
    region.RegionLocationMaxX1 = int(APEX_COLUMN) + half_width
    region.RegionLocationMaxY1 = int(APEX_ROW + DEPTH_CM * PX_PER_CM)
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX = region.PhysicalDeltaY = 1 / PX_PER_CM
    return region


def _add_colour_pixels(dataset: Dataset) -> None:
    dataset.SamplesPerPixel = 3
    dataset.PhotometricInterpretation = "YBR_FULL_422"
    dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = ROWS, COLUMNS
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelRepresentation = 0
    dataset.UltrasoundColorDataPresent = 1
