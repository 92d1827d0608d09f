"""The nodes that are measured, each in processes of its own, listening on loopback."""

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.processes import free_ports, require_program, running

REPOSITORY: Final = Path(__file__).resolve().parents[1]
LIFEBOAT_AE_TITLE: Final = "LIFEBOAT"
PEER_AE_TITLE: Final = "PEER"


@dataclass(frozen=True, slots=True)
class Orthanc:
    """A running Orthanc."""

    dicom_port: int
    http_port: int


def lifeboat_command(name: str, data: Path, settings: Sequence[str]) -> list[str]:
    """Return the command line of one process of the node."""
    overrides = [f"--set={setting}" for setting in settings]
    return [sys.executable, "-m", "lifeboat", name, f"--data={data}", *overrides]


@contextlib.contextmanager
def lifeboat_receive(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[int]:
    """Run Lifeboat's receiving process with its data in `folder`; yield its DICOM port."""
    (port,) = free_ports(1)
    settings = (f"dicom.port={port}", "storage.reserve_bytes=1000000")
    command = lifeboat_command("receive", folder / "data", settings)
    log = folder / "receive.log"
    with running(command, ports=[port], log=log, environment=environment, folder=REPOSITORY):
        yield port


@contextlib.contextmanager
def lifeboat_web(folder: Path) -> Iterator[int]:
    """Run Lifeboat's web process over the data in `folder`; yield its HTTP port."""
    (port,) = free_ports(1)
    command = lifeboat_command("web", folder / "data", (f"web.port={port}",))
    with running(command, ports=[port], log=folder / "web.log", folder=REPOSITORY):
        yield port


@contextlib.contextmanager
def bare_server(file: Path, size_bytes: int, folder: Path) -> Iterator[int]:
    """Run a Python program that answers with the end of a file, from memory; yield its port."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "benchmarks.bare_server", str(port), str(file)]
    command.append(str(size_bytes))
    with running(command, ports=[port], log=folder / "bare.log", folder=REPOSITORY):
        yield port


@contextlib.contextmanager
def orthanc(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[Orthanc]:
    """Run Orthanc as it is delivered, with its data in `folder`."""
    program = require_program("Orthanc")
    dicom_port, http_port = free_ports(2)
    configuration = folder / "orthanc.json"
    configuration.write_text(json.dumps(_orthanc_configuration(folder, dicom_port, http_port)))
    with running(
        [program, str(configuration)],
        ports=[dicom_port, http_port],
        log=folder / "orthanc.log",
        environment=environment,
    ):
        yield Orthanc(dicom_port, http_port)


def _orthanc_configuration(folder: Path, dicom_port: int, http_port: int) -> dict[str, Any]:
    """Name folders, ports and who may ask; everything that costs time stays at its default."""
    return {
        "Name": "Benchmark",
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "DicomAet": PEER_AE_TITLE,
        "DicomPort": dicom_port,
        "HttpPort": http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowFind": True,  # as for a node that it knows
        "KeepAlive": True,
        "Plugins": [],
    }


@contextlib.contextmanager
def storescp(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[int]:
    """Run DCMTK's storescp, tuned as well as it can be, writing into `folder`; yield its port."""
    program = require_program("storescp")
    (port,) = free_ports(1)
    (folder / "db").mkdir()
    # a process for each association, the bytes as received, the largest PDU
    tuning = ["--fork", "+B", "-pdu", "131072"]
    command = [program, *tuning, "-aet", PEER_AE_TITLE, "-od", str(folder / "db"), str(port)]
    with running(command, ports=[port], log=folder / "storescp.log", environment=environment):
        yield port
