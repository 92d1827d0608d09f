"""What was measured on: the machine, its disk, and the versions of everybody."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

from benchmarks.processes import find_program, first_line

_PACKAGES = ("lifeboat", "pydicom", "pynetdicom", "numpy", "pillow", "granian")


def describe_machine(folder: Path) -> dict[str, str]:
    """Return facts about this machine, by what they are called.

    Parameters
    ----------
    folder : Path
        Where the benchmarks write.
    """
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": f"{_processor()}, {len(os.sched_getaffinity(0))} cores for us",
        "load": f"{os.getloadavg()[0]:.1f} in the last minute, before we began",
        "memory": f"{memory_bytes / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "disk": f"{file_system(folder)} below {folder.parent}",
        "Python": platform.python_version(),
        "packages": ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
        "DCMTK": _peer_version("dcmsend"),
        "Orthanc": _peer_version("Orthanc"),
    }


def file_system(folder: Path) -> str:
    """Return the type of the file system a folder lies on, '' when unknown."""
    best, kind = "", ""
    path = str(folder.resolve())
    for line in _lines(Path("/proc/mounts")):
        _, mounted_at, name = line.split()[:3]
        if (path + "/").startswith(mounted_at.rstrip("/") + "/") and len(mounted_at) >= len(best):
            best, kind = mounted_at, name
    return kind


def _processor() -> str:
    lines = _lines(Path("/proc/cpuinfo"))
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _peer_version(program: str) -> str:
    path = find_program(program)
    return first_line([path, "--version"]).strip("$ ") if path else "not installed"
