"""A store, an index and an ingest in this process, on real files."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom.dataset import FileDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from dicom_node.header_reader import HeaderReader
from dicom_node.index import IndexReader
from dicom_node.index_queue import IndexQueue
from dicom_node.index_writer import Index
from dicom_node.ingest import Ingest, Origin
from dicom_node.quarantine import Quarantine
from dicom_node.server import DicomServer
from dicom_node.setting_tables import DicomSettings, TlsSettings
from dicom_node.storage import InstanceStore
from sample_data.pacs import PracticePacs
from tests.dicom_node.desk import START, Desk


def encode(ds: FileDataset) -> bytes:
    """Encode a data set without file meta information."""
    syntax = ds.file_meta.TransferSyntaxUID
    buffer = DicomBytesIO()
    buffer.is_little_endian = syntax.is_little_endian
    buffer.is_implicit_VR = syntax.is_implicit_VR
    write_dataset(buffer, ds)
    return buffer.getvalue()


class Room:
    """The receiving half without a network."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.store = InstanceStore(data)
        self.index = Index(data / "index.sqlite")
        self.queue = IndexQueue(self.index.add, self.store.forget)
        self.queue.start()
        self.quarantine = Quarantine(data / "quarantine")
        self.headers = HeaderReader()
        self.ingest = Ingest(
            self.store,
            self.quarantine,
            self.queue,
            lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            read=self.headers.read,
        )
        self.reader = IndexReader(data / "index.sqlite")

    def accept(self, ds: FileDataset, **origin: str):
        facts = {"door": "c-store", "calling_ae_title": "CT1"} | origin
        return self.ingest.accept(encode(ds), str(ds.file_meta.TransferSyntaxUID), Origin(**facts))

    def settle(self) -> None:
        """Wait until everything stored is indexed."""
        self.queue.stop()

    def close(self) -> None:
        if self.queue._thread.is_alive():
            self.queue.stop()
        self.headers.close()
        self.reader.close()
        self.index.close()
        self.store.close()


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    room = Room(tmp_path / "data")
    yield room
    room.close()


@pytest.fixture
def encode_dataset() -> Callable[[FileDataset], bytes]:
    return encode


@dataclass(frozen=True)
class CertificateFiles:
    """A self-signed certificate and its key."""

    certificate_path: Path
    port: int

    @property
    def certificate(self) -> str:
        return str(self.certificate_path)

    @property
    def private_key(self) -> str:
        return str(self.certificate_path.with_name("key.pem"))

    @property
    def settings(self) -> TlsSettings:
        return TlsSettings(self.certificate, self.private_key, port=self.port)


@pytest.fixture
def make_certificate(
    tmp_path: Path, require: Callable[[str], str]
) -> Callable[..., CertificateFiles]:
    """Make certificates with the openssl program."""
    kinds = {"ec": ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"), "rsa": ("rsa:2048",)}
    made: list[CertificateFiles] = []

    def make(
        days: int = 100, *, kind: str = "ec", port: int = 2762, folder: Path | None = None
    ) -> CertificateFiles:
        folder = folder or tmp_path / f"certificate{len(made)}"
        folder.mkdir(exist_ok=True)
        files = CertificateFiles(folder / "certificate.pem", port)
        command = [require("openssl"), "req", "-x509", "-newkey", *kinds[kind], "-nodes"]
        command += ["-keyout", files.private_key, "-out", files.certificate]
        command += ["-days", str(days), "-subj", "/CN=lifeboat-test"]
        subprocess.run(command, capture_output=True, check=True, timeout=60)
        made.append(files)
        return files

    return make


@pytest.fixture
def node_port(room):
    server = DicomServer(
        DicomSettings(port=0),
        room.ingest,
        room.index.add_commitment_reports,
        lambda: START,
    )
    yield server.start()
    server.stop()


@pytest.fixture
def make_pacs(tmp_path, node_port):
    started = []

    def make(**options) -> PracticePacs:
        pacs = PracticePacs(
            tmp_path / f"pacs{len(started)}",
            port=options.pop("port", 0),
            return_addresses={"LIFEBOAT": ("127.0.0.1", node_port)},
            **options,
        )
        started.append(pacs)
        return pacs

    yield make
    for pacs in started:
        pacs.stop()


@pytest.fixture
def make_desk(room):
    desks = []

    def make(port: int, *settings: str) -> Desk:
        desks.append(Desk(room, port, *settings))
        return desks[-1]

    yield make
    for desk in desks:
        desk.close()
