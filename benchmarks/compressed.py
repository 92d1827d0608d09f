"""A compressed series of many slices, quickly made: few codestreams, many headers."""

from pathlib import Path
from typing import Final

import imagecodecs
import numpy as np
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless

from benchmarks.data import InstanceFile, Kind, UidFactory, make_series

_DIFFERENT: Final = 10
_IDENTIFIERS: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


def make_compressed_series(
    kind: Kind, folder: Path, count: int, uids: UidFactory, rng: np.random.Generator
) -> list[InstanceFile]:
    """Write one series in JPEG 2000 lossless.

    Parameters
    ----------
    kind : Kind
        What they are.
    folder : Path
        Everything is written below it.
    count : int
        How many; ten of them differ in their pixels.
    uids : UidFactory
        Identifies them.
    rng : numpy.random.Generator
        Makes the noise.
    """
    plain = make_series(kind, folder / "plain", min(count, _DIFFERENT), uids, rng)
    datasets = [dcmread(file.path) for file in plain]
    streams = [
        imagecodecs.jpeg2k_encode(ds.pixel_array, level=0, reversible=True, codecformat="j2k")
        for ds in datasets
    ]
    target = folder / "compressed"
    target.mkdir()
    files = []
    for number in range(count):
        ds = datasets[number % len(datasets)]
        ds.InstanceNumber, ds.SOPInstanceUID = number + 1, uids.new_uid()
        ds.ImagePositionPatient = [-175, -175, number]
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.file_meta.TransferSyntaxUID = JPEG2000Lossless
        ds.PixelData = encapsulate([streams[number % len(streams)]])
        ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
        path = target / f"{number + 1:04}.dcm"
        ds.save_as(path, enforce_file_format=True)
        files.append(InstanceFile(path, {name: str(ds[name].value) for name in _IDENTIFIERS}))
    return files
