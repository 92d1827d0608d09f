"""The nodes that are measured, each in processes of its own, listening on loopback."""

import contextlib
import http.client
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.processes import (
    LOOPBACK,
    BenchmarkError,
    free_ports,
    require_program,
    running,
)

REPOSITORY: Final = Path(__file__).resolve().parents[1]
LIFEBOAT_AE_TITLE: Final = "LIFEBOAT"
PEER_AE_TITLE: Final = "PEER"
_HTTP_TIMEOUT_S: Final = 60


@dataclass(frozen=True, slots=True)
class Orthanc:
    """A running Orthanc."""

    dicom_port: int
    http_port: int


class KeepAliveClient:
    """One HTTP connection that stays open, as a browser's does.

    Parameters
    ----------
    port : int
        On loopback.
    """

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_HTTP_TIMEOUT_S)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def get(self, path: str, accept: str = "*/*") -> bytes:
        """Return the body of an answer.

        Raises
        ------
        BenchmarkError
            There is no answer, or its status is not 200.
        """
        return self._ask("GET", path, None, {"Accept": accept})

    def get_json(self, path: str) -> Any:
        """Return an answer in JSON."""
        return json.loads(self.get(path, "application/json"))

    def post(self, path: str, body: bytes) -> Any:
        """Send a body and return the answer in JSON."""
        return json.loads(self._ask("POST", path, body, {}))

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> bytes:
        try:
            status, content = self._exchange(method, path, body, headers)
        except http.client.RemoteDisconnected:
            # Orthanc closes a connection that was silent for a second; the next one is opened
            # in a fraction of the time its answer takes
            status, content = self._exchange(method, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            raise BenchmarkError(f"no answer over HTTP: {type(error).__name__}") from error
        if status != 200:
            raise BenchmarkError(f"HTTP status {status}")
        return content

    def _exchange(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()


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
