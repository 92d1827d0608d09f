"""The process that reads odd data sets with pydicom, in a cage; run by `dicom_node.header_reader`.

pydicom understands much that breaks the standard, but its parser has no bounds of its own. Here it
runs without the right to open a file or a socket, with little memory and little time. It answers
where pixel data begins, or the data set ends, and the raw values of what we index; whether they are
to be believed is for the asking process to say.
"""

import codecs
import json
import resource
import struct
import sys
from collections.abc import Iterator
from io import BytesIO
from typing import Any, BinaryIO, Final

from pydicom.charset import python_encoding
from pydicom.dataelem import RawDataElement
from pydicom.filereader import data_element_generator

from dicom_node.header import INDEXED, MAXIMUM_VALUE_BYTES

REQUEST: Final = struct.Struct("<QBL")
"""Length of the whole data set, is it little endian, length of the start that follows."""
REPLY: Final = struct.Struct("<L")
"""Length of the JSON that follows."""
READY: Final = b"ready"
"""What is written once, when requests may come."""
MEMORY_BYTES: Final = 512 * 1024**2
"""What parsing may take beyond what the process has when it is ready."""
CPU_S: Final = 10
"""What one parse may take of a processor; the asking process also counts by the clock."""

_PIXEL_GROUP: Final = 0x7FE00000
_UNDEFINED: Final = 0xFFFFFFFF


def main() -> None:
    """Answer requests on standard input until it ends."""
    _enter_cage()
    requests, replies = sys.stdin.buffer, sys.stdout.buffer
    replies.write(READY)
    replies.flush()
    while len(head := requests.read(REQUEST.size)) == REQUEST.size:
        total_bytes, is_little_endian, length = REQUEST.unpack(head)
        _allow_cpu_time()
        try:
            start = requests.read(length)
            found = parse(start, total_bytes, bool(is_little_endian))
        except Exception as error:  # noqa: BLE001 - pydicom raises many kinds; all mean "unreadable"
            found = {"error": type(error).__name__}
        answer = json.dumps(found).encode("ascii")
        replies.write(REPLY.pack(len(answer)) + answer)
        replies.flush()


def parse(start: bytes, total_bytes: int, is_little_endian: bool) -> dict[str, Any]:
    """Read a data set as leniently as pydicom does.

    Parameters
    ----------
    start : bytes
        Its start, or all of it.
    total_bytes : int
    is_little_endian : bool
        Whether VRs are written is not asked: the first element shows it, whatever was said.

    Returns
    -------
    dict
        `offset` of the pixel data, or of the end; `is_explicit`; `values`, tag to hex.
    """
    is_explicit = start[4:6].isalpha() and start[4:6].isupper()
    file = BytesIO(start)
    values: dict[int, str] = {}
    offset = 0
    stopped = False

    def is_pixel_data(tag: int, _vr: str | None, _length: int) -> bool:
        nonlocal stopped
        stopped = tag >= _PIXEL_GROUP
        return stopped

    elements = data_element_generator(
        file, not is_explicit, is_little_endian, stop_when=is_pixel_data
    )
    for tag, value, offset in _ends(elements, file):
        if offset > total_bytes:
            raise EOFError
        if tag in INDEXED and tag not in values:
            values[tag] = value[:MAXIMUM_VALUE_BYTES].hex()
    return {
        "offset": file.tell() if stopped else offset,
        "is_explicit": is_explicit,
        "values": values,
    }


def _ends(elements: Iterator[Any], file: BinaryIO) -> Iterator[tuple[int, bytes, int]]:
    """Yield tag, value and end of each element, the end as it was said and not as it was read."""
    for element in elements:
        if isinstance(element, RawDataElement) and element.length != _UNDEFINED:
            yield element.tag, element.value or b"", element.value_tell + element.length
        else:
            yield element.tag, b"", file.tell()


def _enter_cage() -> None:
    """Give up what parsing does not need: without a new descriptor there is no file and no net."""
    for name in set(python_encoding.values()):
        codecs.lookup(name)  # later it could not be loaded
    limits = {
        resource.RLIMIT_AS: _address_space_bytes() + MEMORY_BYTES,
        resource.RLIMIT_NOFILE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_CORE: 0,  # a core dump would hold a patient
    }
    for kind, limit in limits.items():
        resource.setrlimit(kind, (limit, limit))


def _address_space_bytes() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[0]) * resource.getpagesize()


def _allow_cpu_time() -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(
        resource.RLIMIT_CPU, (int(usage.ru_utime + usage.ru_stime) + 1 + CPU_S, hard)
    )


if __name__ == "__main__":
    main()
