"""A data folder filled through the node's own door, and the application over it."""

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, Page
from pydicom.dataset import Dataset, FileDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from dicom_node.clock import utc_now
from dicom_node.index import FILE as INDEX_FILE
from dicom_node.index_queue import IndexQueue
from dicom_node.index_writer import Index
from dicom_node.ingest import Ingest, Origin
from dicom_node.ledger import FILE as LEDGER_FILE
from dicom_node.ledger_writer import Ledger
from dicom_node.quarantine import FOLDER as QUARANTINE
from dicom_node.quarantine import Quarantine
from dicom_node.setting_tables import PacsSettings, StorageSettings, WebSettings
from dicom_node.settings import Settings
from dicom_node.storage import InstanceStore
from web.app import create_app
from web.context import EXTENSION

REPOSITORY = Path(__file__).resolve().parents[2]
START = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Keeper:
    """Stores and indexes instances as the receiving process does, without its port."""

    def __init__(self, data: Path, clock: Callable[[], datetime]) -> None:
        self.data = data
        self.clock = clock
        self.store = InstanceStore(data, sync_writes=False, reserve_bytes=0, reserve_inodes=0)
        self.index = Index(data / INDEX_FILE)

    def keep(self, *datasets: FileDataset) -> None:
        """Take instances in; when it returns they are indexed."""
        queue = IndexQueue(self.index.add, self.store.forget)
        ingest = Ingest(self.store, Quarantine(self.data / QUARANTINE), queue, self.clock)
        queue.start()
        for dataset in datasets:
            syntax = str(dataset.file_meta.TransferSyntaxUID)
            ingest.accept(encoded(dataset), syntax, Origin("c-store", "SCANNER"))
        queue.stop()

    def keep_file(self, path: Path) -> None:
        """Take a Part 10 file in, its data set bytes as they are."""
        from pydicom.filereader import read_file_meta_info

        meta = read_file_meta_info(path)
        start = 132 + 12 + int(meta.FileMetaInformationGroupLength)
        queue = IndexQueue(self.index.add, self.store.forget)
        ingest = Ingest(self.store, Quarantine(self.data / QUARANTINE), queue, self.clock)
        queue.start()
        ingest.accept(
            path.read_bytes()[start:], str(meta.TransferSyntaxUID), Origin("c-store", "SCANNER")
        )
        queue.stop()

    def close(self) -> None:
        self.index.close()
        self.store.close()


def encoded(dataset: Dataset) -> bytes:
    """Return the data set's bytes as they travel in a C-STORE."""
    if dataset.file_meta.TransferSyntaxUID.is_implicit_VR:
        buffer = DicomBytesIO()
        buffer.is_little_endian, buffer.is_implicit_VR = True, True
        write_dataset(buffer, dataset)
        return buffer.getvalue()
    part10 = BytesIO()
    dataset.save_as(part10, enforce_file_format=True)
    content = part10.getvalue()
    length = int.from_bytes(content[140:144], "little")
    return content[144 + length :]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    data = tmp_path / "data"
    data.mkdir()
    unreserved = StorageSettings(reserve_bytes=0, reserve_inodes=0)
    base = Settings(web=WebSettings(quiet_after_s=30.0), storage=unreserved)
    return replace(base, node=replace(base.node, data=data))


@pytest.fixture(scope="module")
def make_keeper() -> Iterator[Callable[..., Keeper]]:
    """Open the store and the index of a data folder; all are closed in the end."""
    opened: list[Keeper] = []

    def make(data: Path, clock: Callable[[], datetime] = utc_now) -> Keeper:
        opened.append(Keeper(data, clock))
        return opened[-1]

    yield make
    for keeper in opened:
        keeper.close()


@pytest.fixture
def keeper(settings: Settings, clock: Clock) -> Iterator[Keeper]:
    keeper = Keeper(settings.node.data, clock)
    yield keeper
    keeper.close()


@pytest.fixture
def make_ledger(settings: Settings) -> Iterator[Callable[..., Ledger]]:
    """Open the ledger as the delivery process does, with destinations of those names."""
    opened: list[Ledger] = []

    def make(*names: str) -> Ledger:
        ledger = Ledger(settings.node.data / LEDGER_FILE)
        opened.append(ledger)
        ledger.record_destinations([PacsSettings(name=name, host="10.0.0.5") for name in names])
        return ledger

    yield make
    for ledger in opened:
        ledger.close()


@pytest.fixture
def app(settings: Settings, clock: Clock) -> Iterator[Flask]:
    app = create_app(settings, clock=clock)
    yield app
    app.extensions[EXTENSION].close()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def held(keeper: Keeper, make_instance: Callable[..., FileDataset]) -> FileDataset:
    """One small CT that the node holds."""
    dataset = make_instance()
    keeper.keep(dataset)
    return dataset


@pytest.fixture
def address() -> Callable[[Dataset], str]:
    """The path of an instance below `/dicom-web` or `/api/v1`."""
    return lambda ds: (
        f"/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
    )


@pytest.fixture
def search(client: FlaskClient) -> Callable[..., Any]:
    """Search studies; returns the answer's JSON."""

    def ask(**body: Any) -> Any:
        answer = client.post("/api/v1/studies/search", json=body)
        assert answer.status_code == 200, answer.json
        return answer.json

    return ask


class Web:
    """The real web process over a data folder, on a port of its own."""

    def __init__(self, data: Path, port: int, *settings: str) -> None:
        self.port = port
        self.name = f"test-{port}-{data.parent.name}"
        self.log = data / f"web-{port}.log"
        options = [f"node.name={self.name}", f"web.port={port}", "web.quiet_after_s=30"]
        options += ["web.decode_workers=1", *settings]  # one starts in half the time of two
        command = [sys.executable, "-m", "lifeboat", "web", f"--data={data}"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *(f"--set={option}" for option in options)],
                stdout=log,
                stderr=log,
                cwd=REPOSITORY,
            )

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def answers(self) -> bool:
        """Tell whether it is this very process that answers on the port."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            return bool(json.load(connection.getresponse())["node"] == self.name)
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
            return False
        finally:
            connection.close()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


def started_web(data: Path, *options: str) -> Web:
    """Start a web process; another process may take the free port first, so try again."""
    for _ in range(3):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        web = Web(data, port, *options)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not web.has_ended():
            if web.answers():
                return web
            time.sleep(0.05)
        web.stop()
    pytest.fail(web.log.read_text())


@pytest.fixture(scope="module")
def launch_web() -> Iterator[Callable[..., Web]]:
    """Start web processes over data folders; all are stopped in the end."""
    started: list[Web] = []

    def start(data: Path, *options: str) -> Web:
        started.append(started_web(data, *options))
        return started[-1]

    yield start
    for web in started:
        web.stop()


@pytest.fixture
def start_web(settings: Settings) -> Iterator[Callable[..., Web]]:
    """Start web processes over the data folder of this test; all are stopped in the end."""
    started: list[Web] = []

    def start(*options: str) -> Web:
        started.append(started_web(settings.node.data, *options))
        return started[-1]

    yield start
    for web in started:
        web.stop()


@pytest.fixture
def served(start_web: Callable[..., Web]) -> int:
    """The port of a real web process over the data folder."""
    return start_web().port


@pytest.fixture(scope="module")
def served_empty(tmp_path_factory: pytest.TempPathFactory, launch_web: Callable[..., Web]) -> int:
    """The port of a real web process that holds nothing, shared by the tests of one file."""
    data = tmp_path_factory.mktemp("empty") / "data"
    data.mkdir()
    return launch_web(data).port


@pytest.fixture
def page(browser: Browser, served: int) -> Iterator[Page]:
    """A page of a new visitor; a complaint of the browser or a dialogue fails the test."""
    complaints: list[str] = []
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, base_url=f"http://127.0.0.1:{served}"
    )
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append("a dialogue opened") or dialog.dismiss())
    page.on(
        "console",
        lambda message: complaints.append(message.text) if "Security Policy" in message.text else 0,
    )
    yield page
    context.close()
    assert not complaints
