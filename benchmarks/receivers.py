"""What is sent to: Lifeboat, Orthanc and storescp behind one face."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import peers
from benchmarks.http_client import KeepAliveClient
from dicom_node.index import FILE as INDEX_FILE
from dicom_node.index import IndexReader


@dataclass(frozen=True, slots=True)
class Started:
    """A receiver that listens: its DICOM port, and how many instances it really holds."""

    port: int
    held: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Receiver:
    """A kind of receiver.

    `start` takes a new folder and an environment. `durable` says what survives a power cut at the
    moment the sender is told that the instance is stored.
    """

    name: str
    ae_title: str
    durable: str
    start: Callable[[Path, Mapping[str, str]], AbstractContextManager[Started]]


@contextlib.contextmanager
def _lifeboat(folder: Path, environment: Mapping[str, str]) -> Iterator[Started]:
    with (
        peers.lifeboat_receive(folder, environment) as port,
        contextlib.closing(IndexReader(folder / "data" / INDEX_FILE)) as index,
    ):
        yield Started(port, lambda: index.counts()["instances"])


@contextlib.contextmanager
def _orthanc(folder: Path, environment: Mapping[str, str]) -> Iterator[Started]:
    with (
        peers.orthanc(folder, environment) as orthanc,
        contextlib.closing(KeepAliveClient(orthanc.http_port)) as client,
    ):
        yield Started(
            orthanc.dicom_port, lambda: int(client.get_json("/statistics")["CountInstances"])
        )


@contextlib.contextmanager
def _storescp(folder: Path, environment: Mapping[str, str]) -> Iterator[Started]:
    with peers.storescp(folder, environment) as port:
        yield Started(port, lambda: sum(1 for _ in (folder / "db").iterdir()))


LIFEBOAT: Final = Receiver(
    "Lifeboat",
    peers.LIFEBOAT_AE_TITLE,
    "yes: journal synced; file, folder and index follow, synced too",
    _lifeboat,
)
ORTHANC: Final = Receiver(
    "Orthanc default",
    peers.PEER_AE_TITLE,
    "in part: file synced, its folder and the index not",
    _orthanc,
)
STORESCP: Final = Receiver(
    "DCMTK storescp --fork +B",
    peers.PEER_AE_TITLE,
    "no: nothing synced; no index",
    _storescp,
)
RECEIVERS: Final = (LIFEBOAT, ORTHANC, STORESCP)
