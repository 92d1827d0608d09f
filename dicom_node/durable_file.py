"""Small files of ours that are either the old or the new one after a crash, never half."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

_MODE = 0o644  # no patient data: status and pages of other users may read it


def replace_json(path: Path, content: Any) -> None:
    """Write a JSON file so that a crash leaves the old one or the new one.

    Parameters
    ----------
    path : Path
        Its folder exists.
    content : object
        What JSON can hold.

    Raises
    ------
    OSError
        The disk refused; the old file is untouched.
    """
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    _write(fresh, json.dumps(content, indent=1).encode(), os.O_EXCL)
    fresh.replace(path)
    sync_folder(path.parent)


def append_json_line(path: Path, content: Any) -> None:
    """Add one line to a file of JSON lines, durably; what is there is never changed."""
    is_new = not path.exists()
    begin = b"\n" if _is_cut_off(path) else b""
    _write(path, begin + json.dumps(content).encode() + b"\n", os.O_APPEND)
    if is_new:
        sync_folder(path.parent)


def read_json(path: Path) -> Any:
    """Read a JSON file; None when there is none or it is damaged."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def sync_file(path: Path) -> None:
    """Make the content of a file durable; raises OSError when the disk refuses."""
    _sync(path, os.O_CLOEXEC, os.fdatasync)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable; raises OSError when the disk refuses."""
    _sync(folder, os.O_CLOEXEC | os.O_DIRECTORY, os.fsync)


def _sync(path: Path, flags: int, sync: Callable[[int], None]) -> None:
    descriptor = os.open(path, os.O_RDONLY | flags)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def _write(path: Path, data: bytes, flag: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flag, _MODE)
    with open(descriptor, "wb", closefd=True) as file:
        _give_to_owner_of(path.parent, descriptor)
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def _is_cut_off(path: Path) -> bool:
    """Tell whether a crash left half a line at the end, which would swallow the next one."""
    try:
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except OSError:
        return False  # missing or empty


def _give_to_owner_of(folder: Path, descriptor: int) -> None:
    """Let the node write what root wrote on its behalf."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
