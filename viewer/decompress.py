"""An object in another, uncompressed transfer syntax: the same instance with the same pixels.

For receivers that take no compressed images. Decoding loses nothing: every stored value comes out
as the decoder gives it, and colours stay in the space they were coded in. What was compressed with
loss stays marked as such (PS3.3 C.7.6.1.1.5). The SOP Instance UID stays, as PS3.3 C.12.4.1.1 asks
for a new one only where pixels are changed.
"""

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
)

from viewer.codecs import FrameDecoder, decode_frame
from viewer.decode import Instance, open_instance
from viewer.errors import UnsupportedPixels, UnsupportedTransferSyntax, ViewerError
from viewer.pixel_format import PixelFormat
from viewer.sandbox import DecodeLimits, DecodeWorker, WorkerLost

TARGETS: Final = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
"""What an object may be turned into."""
LARGEST_BYTES: Final = 1 << 30
"""Pixels of one object, uncompressed, that are held in memory at most."""

_NATIVE: Final = (*TARGETS, DeflatedExplicitVRLittleEndian)
_ALWAYS_LOSSY: Final = {JPEGBaseline8Bit: "ISO_10918_1", JPEGExtended12Bit: "ISO_10918_1"}
_OF_ENCAPSULATION: Final = (
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "EncapsulatedPixelDataValueTotalLength",
)


def decompress(
    source: Path,
    target: Path,
    transfer_syntax_uid: str = str(ExplicitVRLittleEndian),
    decoder: FrameDecoder = decode_frame,
) -> None:
    """Write an object in an uncompressed transfer syntax.

    Parameters
    ----------
    source, target : Path
        DICOM Part 10 files; the second is made.
    transfer_syntax_uid : str
        One of `TARGETS`.
    decoder : callable
        What decodes compressed frames.

    Raises
    ------
    UnreadableFile, UnsupportedTransferSyntax, UnsupportedPixels
        It cannot be done without loss, or at all; nothing is written.
    """
    if transfer_syntax_uid not in TARGETS:
        raise UnsupportedTransferSyntax("Objects are decompressed to little endian forms only.")
    instance = open_instance(source, decoder)
    dataset = _read(source)
    if instance.transfer_syntax_uid not in _NATIVE:
        _replace_pixels(dataset, instance)
    dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    dataset.save_as(
        target,
        implicit_vr=transfer_syntax_uid == ImplicitVRLittleEndian,
        little_endian=True,
        enforce_file_format=True,
    )


def _read(source: Path) -> FileDataset:
    try:
        return dcmread(source)
    except (OSError, InvalidDicomError, ValueError, NotImplementedError) as exc:
        raise UnsupportedPixels("This object cannot be read to be decompressed.") from exc


def _replace_pixels(dataset: FileDataset, instance: Instance) -> None:
    """Put decoded pixels in place of compressed ones, and say of them what is true of them."""
    if instance.file_header.pixel_element is None:
        return  # a report, for one: nothing in it is compressed
    if "PixelData" not in dataset or not dataset["PixelData"].is_undefined_length:
        # big endian, for one: other values than pixels would have to be turned round too
        raise UnsupportedTransferSyntax("This object is not of a kind that can be decompressed.")
    _, first = instance.decoded_samples(1)
    if first.native_bytes * instance.number_of_frames > LARGEST_BYTES:
        raise UnsupportedPixels("This object is too large to be decompressed.")
    frames = [_frame(instance, number + 1, first) for number in range(instance.number_of_frames)]
    pixels = b"".join(frames)
    dataset.PixelData = pixels + bytes(len(pixels) % 2)
    dataset["PixelData"].VR = "OW" if first.bits_allocated > 8 else "OB"
    dataset["PixelData"].is_undefined_length = False
    _describe(dataset, first)
    _keep_lossy(dataset, instance.transfer_syntax_uid)
    for keyword in _OF_ENCAPSULATION:
        if keyword in dataset:
            delattr(dataset, keyword)


def _frame(instance: Instance, number: int, first: PixelFormat) -> bytes:
    samples, described = instance.decoded_samples(number)
    if described != first:
        raise UnsupportedPixels("The frames of this object are not of one kind.")
    container = np.dtype(f"<{samples.dtype.kind}{first.container_bytes}")
    kept = samples.astype(container, copy=False)
    if kept.dtype.itemsize < samples.dtype.itemsize and not np.array_equal(kept, samples):
        raise UnsupportedPixels("The pixels of this object do not fit what its header says.")
    return kept.tobytes()


def _describe(dataset: FileDataset, described: PixelFormat) -> None:
    """Enter what is true of the decoded pixels, where the header said otherwise (PS3.5 8.2)."""
    values: dict[str, Any] = {
        "BitsStored": described.bits_stored,
        "HighBit": described.high_bit,
        "PixelRepresentation": int(described.is_signed),
    }
    if described.samples_per_pixel > 1:
        values["PhotometricInterpretation"] = described.photometric_interpretation
        values["PlanarConfiguration"] = 0
    for keyword, value in values.items():
        if dataset.get(keyword) != value:
            setattr(dataset, keyword, value)


def _keep_lossy(dataset: FileDataset, transfer_syntax_uid: str) -> None:
    """Mark pixels that only the transfer syntax told to have lost something."""
    method = _ALWAYS_LOSSY.get(UID(transfer_syntax_uid))
    if method and dataset.get("LossyImageCompression") != "01":
        dataset.LossyImageCompression = "01"
        if not dataset.get("LossyImageCompressionMethod"):
            dataset.LossyImageCompressionMethod = method


class CagedDecoder:
    """Decodes frames in a caged process, replaced when a picture was its end.

    Parameters
    ----------
    limits : DecodeLimits
    """

    def __init__(self, limits: DecodeLimits) -> None:
        self._limits = limits
        self._worker: DecodeWorker | None = None

    def __call__(self, transfer_syntax_uid: str, encoded: bytes, described: PixelFormat) -> Any:
        """Decode one frame; see `viewer.codecs.decode_frame`."""
        if max(len(encoded), described.native_bytes) > self._limits.shared_bytes:
            raise UnsupportedPixels("A frame of this object is too large to be decompressed.")
        try:
            if self._worker is None:
                self._worker = DecodeWorker(self._limits)
                self._worker.wait_until_ready()
            return self._worker.decode(transfer_syntax_uid, encoded, described)
        except WorkerLost as lost:
            self.close()
            raise UnsupportedPixels("The decoder gave up on this object.") from lost

    def close(self) -> None:
        """End the process."""
        if self._worker is not None:
            self._worker.end()
        self._worker = None


def serve(requests: BinaryIO, answers: BinaryIO, decoder: FrameDecoder) -> None:
    """Decompress what is asked for until the requests end.

    Parameters
    ----------
    requests : file
        A line of JSON for each: source, target, transfer syntax.
    answers : file
        Gets a line of JSON for each: '' when it is done, or why not.
    decoder : callable
    """
    for line in requests:
        source, target, transfer_syntax_uid = json.loads(line)
        words = ""
        try:
            decompress(Path(source), Path(target), transfer_syntax_uid, decoder)
        except ViewerError as error:
            words = str(error)
        except Exception as error:  # noqa: BLE001 - the edge: one object costs no other
            words = f"This object cannot be decompressed ({type(error).__name__})."
        if words:
            with contextlib.suppress(OSError):
                os.unlink(target)
        answers.write(json.dumps(words).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    caged = CagedDecoder(DecodeLimits())
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer, caged)
    finally:
        caged.close()
