"""The real files at hand: pydicom's, pydicom-data's, and the corpus beside the repository."""

import hashlib
import importlib.util
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pydicom.data
import pytest

CORPUS = Path(
    os.environ.get("LIFEBOAT_CORPUS") or Path(__file__).resolve().parents[3] / "shared" / "corpus"
)
all_files = pytest.mark.all_files
"""Of the long form, which takes every file and not the chosen ones."""


def roots() -> list[Path]:
    package = importlib.util.find_spec("data_store")
    assert package is not None, "pydicom-data is part of the test extra"
    folders = [
        Path(pydicom.data.__file__).parent / "test_files",
        Path(next(iter(package.submodule_search_locations or []))),
        CORPUS,
    ]
    return [folder for folder in folders if folder.exists()]


@cache
def _by_name() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for root in roots():
        for path in sorted(root.rglob("*")):
            if path.is_file():
                found.setdefault(path.name, path)
    return found


def find(name: str) -> Path:
    """Return a real file by its name; only the corpus may be absent."""
    path = _by_name().get(name)
    if path is None:
        pytest.skip(f"{name} is in the corpus of real files, which is not beside this repository")
    return path


def every_file() -> Iterator[Path]:
    """Yield every real file once; some have copies under other names."""
    seen: set[bytes] = set()
    for root in roots():
        for path in sorted(root.rglob("*")):
            if not path.is_file():
                continue
            digest = hashlib.sha256(path.read_bytes()).digest()
            if digest not in seen:
                seen.add(digest)
                yield path
