"""Real peers and real processes for every test: Orthanc, DCMTK, and the node itself."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from playwright.sync_api import Browser, expect, sync_playwright
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from tests.dcmtk import PROMPT, acknowledged_files, send_by_dcmsend, send_by_storescu
from tests.faults.figures import print_figures
from tests.second_tries import print_second_tries

# how long one example takes says more of the machine's other work than of the code
hypothesis.settings.register_profile("shared machine", deadline=None)
hypothesis.settings.load_profile("shared machine")
# the same of a page: what must come soon says so with a limit of its own
expect.set_options(timeout=20_000)

CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LONG_FORMS = {
    "full_browser": ("LIFEBOAT_BROWSER", "full"),
    "full_faults": ("LIFEBOAT_FAULTS", "full"),
    "all_files": ("LIFEBOAT_GOLDEN", "all"),
}
"""The marker of tests that take long: what must be set in the environment for them to run."""
REPOSITORY = Path(__file__).resolve().parents[1]
CORPUS = REPOSITORY.parent / "shared" / "corpus"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the long forms nobody asked for."""
    left_out = [name for name, (key, value) in LONG_FORMS.items() if os.environ.get(key) != value]
    long = [item for item in items if any(map(item.get_closest_marker, left_out))]
    items[:] = [item for item in items if item not in long]
    config.hook.pytest_deselected(items=long)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tell what is known only when all has run."""
    print_figures(terminalreporter)
    print_second_tries(terminalreporter)


def wait_until(condition: Callable[[], Any], timeout_s: float = 90.0, what: str = "") -> Any:
    """Poll until a condition is truthy and return it; fail after a deadline."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    pytest.fail(f"not within {timeout_s} s: {what or condition}")


def require_program(name: str) -> str:
    """Find a program the test needs; only a developer's machine may lack it."""
    path = shutil.which(name)
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is not installed; `make test` installs it")
        pytest.skip(f"{name} is not installed")
    return path


def is_open(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


class Node:
    """A Lifeboat in processes of its own, on free ports, in a folder of its own."""

    def __init__(self, folder: Path, ports: Sequence[int], *settings: str) -> None:
        self.data = folder / "data"
        self.dicom_port, self.web_port = ports
        self.log = folder / "node.log"
        self.settings = [
            f"--set=dicom.port={self.dicom_port}",
            f"--set=web.port={self.web_port}",
            "--set=storage.reserve_bytes=1000000",
            "--set=storage.journal_bytes=33554432",
            "--set=sync.probe_interval_s=0.5",
            "--set=sync.retry_min_s=0.5",
            "--set=sync.retry_max_s=2",
            "--set=inbox.sweep_s=0.2",
            "--set=inbox.settle_s=0.5",
            *(f"--set={setting}" for setting in settings),
        ]
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def command(self, name: str, *arguments: str) -> list[str]:
        options = [f"--data={self.data}", *self.settings]
        return [sys.executable, "-m", "lifeboat", *name.split(), *options, *arguments]

    def start(self, *names: str) -> "Node":
        for name in names:
            with self.log.open("ab") as log:
                self.processes[name] = subprocess.Popen(
                    self.command(name), stdout=log, stderr=log, cwd=REPOSITORY
                )
        if {"receive", "run"} & set(names):
            self.wait_for_port(self.dicom_port)
        if {"web", "run"} & set(names):
            self.wait_for_port(self.web_port)
        return self

    def wait_for_port(self, port: int) -> None:
        def is_ready() -> bool:
            ended = [p for p in self.processes.values() if p.poll() is not None]
            assert not ended, self.log.read_text()
            return is_open(port)

        wait_until(is_ready, what=f"port {port} opens")

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def stop(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            process.wait(30)
        self.processes.clear()

    def run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(name, *arguments),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=REPOSITORY,
        )

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.web_port, timeout=90)
        try:
            connection.request(
                "GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()}
            )
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def get_json(self, path: str) -> Any:
        status, body = self.get(path)
        assert status == 200, (status, body)
        return json.loads(body)


class Orthanc:
    """An Orthanc that can be switched off and on and keeps what it holds."""

    def __init__(
        self, folder: Path, ports: Sequence[int], node_ae_title: str, node_port: int
    ) -> None:
        self.folder = folder
        folder.mkdir()
        self.dicom_port, self.http_port = ports
        self.ae_title = "ORTHANC"
        configuration = {
            "Name": "Test PACS",
            "StorageDirectory": str(folder / "db"),
            "IndexDirectory": str(folder / "db"),
            "DicomAet": self.ae_title,
            "DicomPort": self.dicom_port,
            "DicomCheckCalledAet": True,
            "DicomAlwaysAllowStore": True,
            "DicomAlwaysAllowFind": True,
            "HttpPort": self.http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "Plugins": [],
            "UnknownSopClassAccepted": True,
            "DicomModalities": {"lifeboat": [node_ae_title, "127.0.0.1", node_port]},
        }
        (folder / "orthanc.json").write_text(json.dumps(configuration))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Orthanc":
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [require_program("Orthanc"), "--verbose", str(self.folder / "orthanc.json")],
                stdout=log,
                stderr=log,
            )
        wait_until(lambda: is_open(self.dicom_port) and is_open(self.http_port))
        return self

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)
            self.process = None

    def get(self, path: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=30)
        try:
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def number_of_instances(self) -> int:
        return int(self.get("/statistics")["CountInstances"])

    def stores_received(self) -> int:
        """Count the C-STORE requests in its own log."""
        return (self.folder / "log").read_text(errors="replace").count("Incoming Store")


@pytest.fixture
def require() -> Callable[[str], str]:
    return require_program


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium, one for all tests of this process."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=require_program("chromium"), args=list(CHROMIUM_FLAGS)
        )
        yield chromium
        chromium.close()


@pytest.fixture
def wait() -> Callable[..., Any]:
    return wait_until


class Ports:
    """Hands out ports nobody listens on, below those the system gives to clients.

    Each process of a parallel run has a range of its own, so that no test takes another's.
    """

    def __init__(self, worker: str) -> None:
        number = int(worker.removeprefix("gw") or 0)
        self._next = 12_000 + number * 2_000 + os.getpid() % 1_000

    def __call__(self, count: int) -> list[int]:
        found: list[int] = []
        while len(found) < count:
            self._next += 1
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", self._next))
                found.append(self._next)
        return found


@pytest.fixture(scope="session")
def free_ports() -> Callable[[int], list[int]]:
    return Ports(os.environ.get("PYTEST_XDIST_WORKER", ""))


@pytest.fixture
def make_node(
    tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> Iterator[Callable[..., Node]]:
    nodes: list[Node] = []

    def make(*settings: str) -> Node:
        folder = tmp_path / f"node{len(nodes)}"
        folder.mkdir()
        nodes.append(Node(folder, free_ports(2), *settings))
        return nodes[-1]

    yield make
    for node in nodes:
        node.stop()


@pytest.fixture
def make_orthanc(
    tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> Iterator[Callable[..., Orthanc]]:
    peers: list[Orthanc] = []

    def make(node_port: int, ports: Sequence[int] | None = None) -> Orthanc:
        peers.append(
            Orthanc(
                tmp_path / f"orthanc{len(peers)}", ports or free_ports(2), "LIFEBOAT", node_port
            )
        )
        return peers[-1]

    yield make
    for peer in peers:
        peer.stop()


def make_ct(number: int = 1, **changes: Any) -> FileDataset:
    """Make a small CT instance with plainly invented identity."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID = generate_uid()
    ds.StudyInstanceUID = changes.pop("StudyInstanceUID", None) or generate_uid()
    ds.SeriesInstanceUID = changes.pop("SeriesInstanceUID", None) or generate_uid()
    ds.StudyDate, ds.StudyTime, ds.AccessionNumber = "20260102", "030405", "ACC1"
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "CT", 1, number
    ds.PatientName, ds.PatientID = "PHANTOM^TEST", "PH-TEST"
    ds.PatientBirthDate, ds.PatientSex = "19700101", "O"
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, number], [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceThickness = [1, 1], 1
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = 64
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation = 15, 1
    ds.RescaleIntercept, ds.RescaleSlope = 0, 1
    ds.WindowCenter, ds.WindowWidth = 40, 400
    pixels = np.random.default_rng(number).integers(-1000, 1000, (64, 64), dtype=np.int16)
    ds.PixelData = pixels.tobytes()
    ds["PixelData"].VR = "OW"
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    return ds


@pytest.fixture(scope="session")
def make_instance() -> Callable[..., FileDataset]:
    return make_ct


@pytest.fixture
def make_series(tmp_path: Path) -> Callable[..., list[Path]]:
    """Write a series of small CT instances to files."""

    def make(count: int, folder: str = "series", **changes: Any) -> list[Path]:
        target = tmp_path / folder
        target.mkdir(exist_ok=True)
        uids = {
            "StudyInstanceUID": changes.pop("StudyInstanceUID", None) or generate_uid(),
            "SeriesInstanceUID": changes.pop("SeriesInstanceUID", None) or generate_uid(),
        }
        paths = []
        for number in range(1, count + 1):
            path = target / f"{uids['SeriesInstanceUID'][-8:]}-{number:04}.dcm"
            make_ct(number, **uids, **changes).save_as(path, enforce_file_format=True)
            paths.append(path)
        return paths

    return make


@pytest.fixture
def flood() -> Callable[[Path, int], None]:
    """Fill a folder with small instances, each with a UID of its own."""

    def fill(folder: Path, count: int) -> None:
        ds = make_ct()
        content = BytesIO()
        ds.save_as(content, enforce_file_format=True)
        uid = str(ds.SOPInstanceUID).encode("ascii")
        for number in range(count):
            other = b"1.2.3.%d." % number
            (folder / f"{number:06}.dcm").write_bytes(
                content.getvalue().replace(uid, other.ljust(len(uid), b"7"))
            )

    return fill


@pytest.fixture
def storescu() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Send files with DCMTK's storescu."""
    program = require_program("storescu")

    def send(port: int, paths: Sequence[Path], *options: str) -> subprocess.CompletedProcess[str]:
        command = [program, "-aec", "LIFEBOAT", *options, "127.0.0.1", str(port), *map(str, paths)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    return send


@pytest.fixture
def acknowledged() -> Callable[[str], list[Path]]:
    return acknowledged_files


@pytest.fixture
def storescu_process(tmp_path: Path) -> Iterator[Callable[..., tuple[Any, Path]]]:
    """Start DCMTK's storescu with a log that can be read while it sends."""
    program = require_program("storescu")
    started: list[subprocess.Popen[bytes]] = []

    def start(port: int, paths: Sequence[Path]) -> tuple[subprocess.Popen[bytes], Path]:
        log = tmp_path / f"storescu{len(started)}.log"
        command = [program, "-v", "-aec", "LIFEBOAT", "127.0.0.1", str(port), *map(str, paths)]
        with log.open("wb") as file:
            started.append(subprocess.Popen(command, stdout=file, stderr=file))
        return started[-1], log

    yield start
    for process in started:
        process.kill()
        process.wait()


class BitPreservingReceiver:
    """DCMTK's storescp, told to write data sets exactly as they come."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        folder.mkdir()
        command = [require_program("storescp"), "+B", "+xa", "-aet", "LIFEBOAT", "--fork"]
        self.process = subprocess.Popen(
            [*command, "-od", str(folder), str(port)],
            env=PROMPT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: is_open(port))

    def received(self) -> dict[str, Path]:
        """Return what it wrote by SOP Instance UID; its file names are `XX.<uid>`."""
        return {path.name.partition(".")[2]: path for path in self.folder.iterdir()}


@pytest.fixture
def bit_preserving_receiver(
    tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> Iterator[BitPreservingReceiver]:
    receiver = BitPreservingReceiver(tmp_path / "storescp", free_ports(1)[0])
    yield receiver
    receiver.process.terminate()
    receiver.process.wait(10)


@pytest.fixture
def dcmtk_send(tmp_path: Path) -> Callable[..., list[Path]]:
    """Send files one by one or together with DCMTK; return those that were acknowledged."""

    def send(tool: str, port: int, paths: Sequence[Path]) -> list[Path]:
        program = require_program(tool)
        run = send_by_dcmsend if tool == "dcmsend" else send_by_storescu
        return run(program, port, paths, tmp_path)

    return send
