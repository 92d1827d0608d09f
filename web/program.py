"""The version of this program, as far as it changes what browsers are given."""

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

ROOMS: Final = ("dicom_node", "viewer", "web")
LIBRARIES: Final = ("numpy", "pillow", "imagecodecs", "pydicom")
"""What decodes and draws beside our own files."""
_DIGITS: Final = 12
_LEFT_OUT: Final = "__pycache__"


@cache
def program_version() -> str:
    """Return a text that changes with every change of what decodes, draws, and is given out.

    It stands in the addresses of scripts, styles and pictures: what a browser kept of an older
    version is then asked for by nobody, and what it keeps of this one stays good.
    """
    repository = Path(__file__).resolve().parents[1]
    libraries = [f"{name} {version(name)}" for name in LIBRARIES]
    return version_of((repository / room for room in ROOMS), libraries)


def version_of(folders: Iterable[Path], libraries: Iterable[str] = ()) -> str:
    """Return a text that changes with the content of any file.

    Parameters
    ----------
    folders : iterable of Path
        Read whole.
    libraries : iterable of str
        What else it depends on.

    Returns
    -------
    str
        Hexadecimal digits.
    """
    content = hashlib.sha256("\0".join(libraries).encode())
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and _LEFT_OUT not in path.parts:
                plain = path.read_bytes()
                name = path.relative_to(folder).as_posix()
                content.update(f"{name}\0{len(plain)}\0".encode())
                content.update(plain)
    return content.hexdigest()[:_DIGITS]
