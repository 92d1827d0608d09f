"""File systems of a test's own: too small, failing, or cut off from power."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import require_program


def run(*command: object) -> None:
    """Run a program of the system; what it says is in the error."""
    words = [str(word) for word in command]
    result = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    if result.returncode:
        raise OSError(f"{' '.join(words)}: {result.stderr.strip()}")


class Mounts:
    """Mounts below one folder; all of them are undone at the end.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mounted: list[Path] = []
        self._count = 0

    def mount(self, *options: object) -> Path:
        """Mount; return where."""
        self._count += 1
        target = self._folder / f"mount{self._count}"
        target.mkdir()
        run("mount", *options, target)
        self._mounted.append(target)
        return target

    def unmount(self, target: Path) -> None:
        run("umount", target)
        self._mounted.remove(target)

    def unmount_all(self) -> None:
        """Undo what is left, the newest first, also below a process that does not end."""
        for target in reversed(self._mounted):
            with contextlib.suppress(OSError):
                run("umount", "--lazy", target)

    def memory(self, *, size_bytes: int, inodes: int) -> Path:
        """Make a file system in memory."""
        return self.mount("-t", "tmpfs", "-o", f"size={size_bytes},nr_inodes={inodes}", "lifeboat")

    def image(self, image: Path, *, size_bytes: int = 0, options: str = "") -> Path:
        """Mount an image file by a loop device; with a size, a new ext4 is made in it."""
        if size_bytes:
            with image.open("wb") as file:
                file.truncate(size_bytes)
            run(require_program("mkfs.ext4"), "-q", "-F", image)
        return self.mount("-o", "loop" + options, image)


class PowerCutDisk:
    """An ext4 whose device can be copied at any instant, as if power went out then.

    The copy holds what the file system wrote to its device, and nothing of what it still kept in
    memory. The image lies on an XFS that shares blocks between files, so a copy takes milliseconds.

    Parameters
    ----------
    folder : Path
    mounts : Mounts
    """

    def __init__(self, folder: Path, mounts: Mounts) -> None:
        self._mounts = mounts
        below = folder / "xfs.img"
        with below.open("wb") as file:
            file.truncate(8 << 30)
        run(require_program("mkfs.xfs"), "-q", "-m", "reflink=1", below)
        self._below = mounts.mount("-o", "loop", below)
        self._image = self._below / "disk.img"
        self.folder = mounts.image(self._image, size_bytes=768 << 20)
        self._count = 0

    def cut(self) -> Path:
        """Return the image of this instant."""
        self._count += 1
        copy = self._below / f"cut{self._count}.img"
        run("cp", "--reflink=always", self._image, copy)
        return copy

    @contextlib.contextmanager
    def after(self, cut: Path) -> Iterator[Path]:
        """Mount the image of a cut, and throw it away at the end."""
        folder = self._mounts.mount("-o", "loop", cut)
        try:
            yield folder
        finally:
            self._mounts.unmount(folder)
            cut.unlink()


@pytest.fixture
def mounts(tmp_path: Path) -> Iterator[Mounts]:
    """Mounts of this test; skipped where nothing may be mounted."""
    folder = tmp_path / "mounts"
    folder.mkdir()
    reason = _why_not(folder)
    if reason:
        pytest.skip(f"file systems cannot be mounted here: {reason}")
    mounts = Mounts(folder)
    yield mounts
    mounts.unmount_all()
    if not any(os.path.ismount(path) for path in folder.iterdir()):
        shutil.rmtree(folder)


def _why_not(folder: Path) -> str:
    if os.geteuid():
        return "only root may"
    probe = Mounts(folder)
    try:
        probe.unmount(probe.memory(size_bytes=1 << 20, inodes=10))
    except OSError as exc:
        return str(exc)
    (folder / "mount1").rmdir()
    return ""
