"""Ways to a picture without a server: Lifeboat's viewer, pydicom, DCMTK's dcmj2pnm."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from benchmarks.processes import BenchmarkError
from viewer.decode import open_instance
from viewer.frame_facts import facts_of
from viewer.grey_levels import DrawLevels, level_drawing
from viewer.render import grey_frame, render_frame
from viewer.strips import StripThreads
from viewer.windowing import Window

JPEG_QUALITY: Final = 90
_TIMEOUT_S: Final = 60
_MORE_THAN_CACHES_BYTES: Final = 2**28


def lifeboat_jpeg(path: Path, center: float, width: float) -> bytes:
    """Render a file with Lifeboat's viewer."""
    window = Window(center, width, "LINEAR", None)
    return render_frame(open_instance(path), 1, window=window, quality=JPEG_QUALITY)


def lifeboat_window(path: Path, processors: int = 1) -> Callable[[float, float], NDArray[np.uint8]]:
    """Return what maps the file's stored values, decoded beforehand, to display values."""
    instance = replace(open_instance(path), threads=StripThreads(processors))
    stored = instance.stored_frame(1)

    def apply(center: float, width: float) -> NDArray[np.uint8]:
        return grey_frame(instance, 1, Window(center, width), stored=stored)

    return apply


def library_passes(path: Path) -> Callable[[float, float], NDArray[np.uint8]]:
    """Return what draws one window again and again: the libraries' part of Lifeboat's way.

    Nothing is left of it but an empty picture, and what numpy and OpenCV do with all its pixels.
    """
    instance = open_instance(path)
    stored, modality = instance.stored_frame(1), facts_of(instance, 1).modality
    shown: list[DrawLevels] = []

    def draw(center: float, width: float) -> NDArray[np.uint8]:
        if not shown:
            shown.append(level_drawing(stored.dtype, modality, Window(center, width)))
        grey = np.empty(stored.shape, np.uint8)
        shown[0](stored, grey)
        return grey

    return draw


def more_than_caches() -> NDArray[np.uint8]:
    """Return two rows of memory, each more than the caches of a processor hold."""
    return np.full((2, _MORE_THAN_CACHES_BYTES), 1, np.uint8)  # zeros might all be one page


def memory_bound(
    path: Path, memory: NDArray[np.uint8]
) -> Callable[[float, float], NDArray[np.uint8]]:
    """Return what reads and writes as many bytes of memory as a window must, and nothing else.

    The window of 16 bit values reads two bytes of each pixel and writes one; copying one and a
    half bytes of each moves as much. Each copy is of another place, so that no cache holds it.

    Parameters
    ----------
    path : Path
        The file.
    memory : numpy.ndarray
        From `more_than_caches`: what is copied from and to.
    """
    picture = lifeboat_window(path)
    size_bytes = open_instance(path).stored_frame(1).size * 3 // 2
    source, target = memory
    places = cycle(range(0, len(source) - size_bytes, size_bytes))
    shown: dict[float, NDArray[np.uint8]] = {}

    def copy(center: float, width: float) -> NDArray[np.uint8]:
        part = slice(begin := next(places), begin + size_bytes)
        np.copyto(target[part], source[part])
        if not shown:  # once, outside of what is timed: what it is checked by
            shown[center] = picture(center, width)
        return next(iter(shown.values()))

    return copy


def pydicom_jpeg(path: Path, center: float, width: float) -> bytes:
    """Render a file the way pydicom's documentation does."""
    ds = dcmread(path)
    encoded = BytesIO()
    grey = _pydicom_grey(ds, ds.pixel_array, center, width)
    Image.fromarray(grey).save(encoded, "JPEG", quality=JPEG_QUALITY)
    return encoded.getvalue()


def pydicom_window(path: Path) -> Callable[[float, float], NDArray[np.uint8]]:
    """Return what maps the file's stored values, decoded beforehand, to display values."""
    ds = dcmread(path)
    stored = ds.pixel_array
    return lambda center, width: _pydicom_grey(ds, stored, center, width)


def _pydicom_grey(
    ds: Dataset, stored: NDArray[Any], center: float, width: float
) -> NDArray[np.uint8]:
    ds.WindowCenter, ds.WindowWidth = center, width
    values = apply_voi_lut(apply_modality_lut(stored, ds), ds)
    lowest, highest = values.min(), values.max()
    scaled: NDArray[np.uint8] = ((values - lowest) / (highest - lowest) * 255).astype(np.uint8)
    return scaled


def dcmj2pnm_jpeg(program: str, path: Path, center: float, width: float) -> bytes:
    """Render a file with DCMTK, a process for each picture.

    Raises
    ------
    BenchmarkError
        It failed.
    """
    window = ["+Ww", str(center), str(width)]
    command = [program, "+oj", "+Jq", str(JPEG_QUALITY), *window, str(path)]
    done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=False)
    if done.returncode:
        raise BenchmarkError(f"dcmj2pnm ended with {done.returncode}")
    return done.stdout
