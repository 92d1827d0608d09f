"""A decode worker whose decoder does what the codestream says: what a hijacked one might try."""

import ctypes
import os
import resource
import socket
import sys
import time
from collections.abc import Callable
from typing import Final

import numpy as np

from viewer import decode_worker
from viewer.codecs import Samples
from viewer.errors import UnsupportedPixels
from viewer.pixel_format import PixelFormat


def hang() -> None:
    """Never come back, at work."""
    while True:
        pass


def half_an_answer() -> None:
    """Begin to answer, and never go on."""
    os.write(1, b"\1")
    time.sleep(3600)


def nonsense() -> None:
    """Answer what nobody can read."""
    os.write(1, os.urandom(4096))
    time.sleep(3600)


def fork() -> None:
    """Become two."""
    if os.fork() == 0:
        os._exit(0)


FATAL: Final[dict[str, Callable[[], object]]] = {
    "loop": hang,
    "sleep": lambda: time.sleep(3600),
    "half an answer": half_an_answer,
    "nonsense": nonsense,
    "crash": lambda: ctypes.string_at(0),
}
FORBIDDEN: Final[dict[str, Callable[[], object]]] = {
    "file": lambda: os.open("/etc/passwd", os.O_RDONLY),
    "new file": lambda: os.open("/tmp/escaped", os.O_CREAT | os.O_WRONLY),
    "socket": socket.socket,
    "fork": fork,
    "program": lambda: os.execv("/bin/true", ["true"]),
    "kill parent": lambda: os.kill(os.getppid(), 0),
    "limit parent": lambda: resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE),
    "raise limit": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100)),
}


def decode(transfer_syntax_uid: str, encoded: bytes, described: PixelFormat) -> Samples:
    """Do the deed that the bytes name, then answer; what is forbidden is a contradiction."""
    deed, _, number = encoded.decode().partition("#")
    if deed in FATAL:
        FATAL[deed]()
    if deed in FORBIDDEN:
        try:
            FORBIDDEN[deed]()
        except (OSError, ValueError):
            raise UnsupportedPixels("not allowed") from None
    if deed == "allocate":
        return np.ones(2**20 * int(number), np.uint8)[:16].reshape(4, 4)
    if deed == "pause":
        time.sleep(float(number))
    shape = (4, 5) if deed == "other shape" else (described.rows, described.columns)
    dtype = np.float32 if deed == "other type" else np.uint8
    return np.full(shape, int(number or 0), dtype)


if __name__ == "__main__":
    if "never ready" in sys.argv:
        sys.exit(1)
    decode_worker.serve(decode)
