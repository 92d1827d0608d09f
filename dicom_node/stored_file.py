"""One file of the store: read, compared, made durable."""

import hashlib
import logging
from pathlib import Path
from typing import Final

from dicom_node.errors import BadDataset
from dicom_node.part10 import MAXIMUM_HEAD_BYTES, FileHead, read_head

_log = logging.getLogger(__name__)
_COMPARE_BYTES: Final = 1 << 20


def read_file_head(path: Path) -> FileHead:
    """Read the head of one stored file.

    Raises
    ------
    BadDataset
        It is not a DICOM file.
    OSError
        It cannot be read.
    """
    with path.open("rb") as file:
        return read_head(file.read(MAXIMUM_HEAD_BYTES))


def is_intact(path: Path, digest: str) -> bool:
    """Tell whether a stored file still has the data set it was stored with.

    Parameters
    ----------
    path : Path
    digest : str
        SHA-256 of the data set in hex; '' only checks that the file has a readable head.

    Returns
    -------
    bool
    """
    try:
        with path.open("rb") as file:
            file.seek(read_head(file.read(MAXIMUM_HEAD_BYTES)).dataset_offset)
            return not digest or hashlib.file_digest(file, "sha256").hexdigest() == digest
    except (OSError, BadDataset):
        _log.exception("stored_file_unreadable")
        return False


def holds_same_data_set(first: Path, second: Path) -> bool:
    """Compare the data sets of two files byte by byte; an unreadable one is never the same."""
    try:
        with first.open("rb") as a, second.open("rb") as b:
            for file in (a, b):
                file.seek(read_head(file.read(MAXIMUM_HEAD_BYTES)).dataset_offset)
            while True:
                left, right = a.read(_COMPARE_BYTES), b.read(_COMPARE_BYTES)
                if left != right:
                    return False
                if not left:
                    return True
    except (OSError, BadDataset):
        _log.exception("stored_file_unreadable")
        return False


def was_begun(path: Path, digest: str) -> bool:
    """Tell whether a file is what a power cut left of one with this digest."""
    try:
        return not path.stat().st_size or read_file_head(path).digest == digest
    except (BadDataset, OSError):
        return False


def has_head(path: Path) -> bool:
    """Tell whether a file begins as every file of the store does."""
    try:
        read_file_head(path)
    except BadDataset:
        return False
    except OSError:
        return True  # nobody knows: it is left alone
    return True
