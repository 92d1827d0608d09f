"""The identity a stored file names, read by the very reader that every arrival passes."""

import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from dicom_node.header import read_header
from dicom_node.identity import Identity
from dicom_node.part10 import MAXIMUM_HEAD_BYTES, FileHead, read_head


def identity_of_file(path: Path) -> Identity:
    """Read whose a stored file is.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Identity

    Raises
    ------
    BadDataset
        It cannot be understood.
    OSError
        It cannot be read.
    """
    with path.open("rb") as file:
        return identity_of(file, read_head(file.read(MAXIMUM_HEAD_BYTES)))


def identity_of(file: BinaryIO, head: FileHead) -> Identity:
    """Read whose an open Part 10 file is; see `identity_of_file`."""
    return Identity.of(header_of(file, head))


def header_of(file: BinaryIO, head: FileHead) -> Mapping[str, str]:
    """Read what the index would keep of an open Part 10 file; see `identity_of_file`."""
    # not closed by hand: an error keeps views of it alive, the last one frees it
    content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    dataset = memoryview(content)[head.dataset_offset :]
    return read_header(dataset, head.transfer_syntax_uid).values
