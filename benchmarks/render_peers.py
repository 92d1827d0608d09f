"""Lifeboat's web process and Orthanc, each holding the instances to be rendered."""

import contextlib
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.data import InstanceFile
from benchmarks.http_client import KeepAliveClient
from benchmarks.peers import (
    LIFEBOAT_AE_TITLE,
    REPOSITORY,
    bare_server,
    lifeboat_command,
    lifeboat_receive,
    lifeboat_web,
    orthanc,
)
from benchmarks.processes import LOOPBACK, BenchmarkError

JPEG: Final = "image/jpeg"
PNG: Final = "image/png"
_OCTETS: Final = 'multipart/related; type="application/octet-stream"'
_SEND_TIMEOUT_S: Final = 600


@dataclass(frozen=True, slots=True)
class Picture:
    """What a picture is to be: its media type, and the square it must fit, 0 for full size."""

    media_type: str
    fitted_px: int = 0

    @property
    def name(self) -> str:
        """In words."""
        form = "JPEG quality 90" if self.media_type == JPEG else "PNG"
        return f"{form}, fitted to {self.fitted_px}" if self.fitted_px else form


@dataclass(frozen=True, slots=True)
class LifeboatView:
    """A running Lifeboat that holds files, and a browser's connection to it."""

    client: KeepAliveClient
    port: int
    folder: Path
    """Named by the command line of each of its processes."""

    def rendered(self, file: InstanceFile, how: Picture, center: float, width: float) -> bytes:
        """Return the first frame as a picture."""
        return self.client.get(self.address(file, how).format(center, width), how.media_type)

    def address(self, file: InstanceFile, how: Picture) -> str:
        """Return the address of a picture, with places for center and width."""
        fitted = f"&viewport={how.fitted_px},{how.fitted_px}" if how.fitted_px else ""
        return f"{_frame(file)}/rendered?window={{}},{{}}{fitted}"

    def frame(self, file: InstanceFile) -> bytes:
        """Return the first frame's pixels as stored, in a multipart answer."""
        return self.client.get(_frame(file), _OCTETS)


@dataclass(frozen=True, slots=True)
class OrthancView:
    """A running Orthanc that holds files, and a browser's connection to it."""

    client: KeepAliveClient
    port: int
    folder: Path
    """Named by its command line."""
    ids: Mapping[Path, str]
    """Its own identifier of each file."""

    def rendered(self, file: InstanceFile, how: Picture, center: float, width: float) -> bytes:
        """Return the first frame as a picture."""
        return self.client.get(self.address(file, how).format(center, width), how.media_type)

    def address(self, file: InstanceFile, how: Picture) -> str:
        """Return the address of a picture, with places for center and width."""
        fitted = f"&width={how.fitted_px}&height={how.fitted_px}" if how.fitted_px else ""
        window = "window-center={}&window-width={}"
        return f"/instances/{self.ids[file.path]}/rendered?{window}{fitted}"

    def frame(self, file: InstanceFile) -> bytes:
        """Return the first frame's pixels as stored."""
        return self.client.get(f"/instances/{self.ids[file.path]}/frames/0/raw")


@contextlib.contextmanager
def lifeboat_holding(folder: Path, files: list[InstanceFile]) -> Iterator[LifeboatView]:
    """Fill a data folder through the DICOM port, then serve it.

    Raises
    ------
    BenchmarkError
        It cannot be started, or did not take the files.
    """
    fill_lifeboat(folder, files)
    with lifeboat_web(folder) as port, contextlib.closing(KeepAliveClient(port)) as client:
        yield LifeboatView(client, port, folder)


@contextlib.contextmanager
def bare_frame(file: InstanceFile, size_bytes: int, folder: Path) -> Iterator[Callable[[], bytes]]:
    """Serve the frame that ends a file by a program that does nothing else; yield who asks it."""
    folder.mkdir()
    with (
        bare_server(file.path, size_bytes, folder) as port,
        contextlib.closing(KeepAliveClient(port)) as client,
    ):
        yield lambda: client.get("/")


def fill_lifeboat(folder: Path, files: list[InstanceFile]) -> None:
    """Send files to a Lifeboat that keeps its data in a new folder.

    Raises
    ------
    BenchmarkError
        It cannot be started, or did not take the files.
    """
    folder.mkdir()
    with lifeboat_receive(folder) as port:
        command = lifeboat_command("send", folder / "sender", ())
        command += ["--to", f"{LOOPBACK}:{port}", "--aet", LIFEBOAT_AE_TITLE]
        command += [str(file.path) for file in files]
        try:
            sent = subprocess.run(
                command, capture_output=True, timeout=_SEND_TIMEOUT_S, cwd=REPOSITORY, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise BenchmarkError("`lifeboat send` did not end in time") from error
    if sent.returncode:
        raise BenchmarkError(f"`lifeboat send` ended with {sent.returncode}")


@contextlib.contextmanager
def orthanc_holding(folder: Path, files: list[InstanceFile]) -> Iterator[OrthancView]:
    """Run Orthanc and put the files into it over HTTP.

    Raises
    ------
    BenchmarkError
        It is not installed, or cannot be started.
    """
    folder.mkdir()
    with orthanc(folder) as peer, contextlib.closing(KeepAliveClient(peer.http_port)) as client:
        ids = {file.path: client.post("/instances", file.path.read_bytes())["ID"] for file in files}
        yield OrthancView(client, peer.http_port, folder, ids)


def _frame(file: InstanceFile) -> str:
    study, series, instance = file.uids.values()
    return f"/dicom-web/studies/{study}/series/{series}/instances/{instance}/frames/1"
