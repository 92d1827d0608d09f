"""The story of one outage, played with real associations and verified step by step.

The PACS is down, a scanner sends, the node keeps and shows, the PACS comes back, every instance is
returned and proven.
"""

import hashlib
import http.client
import io
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import imagecodecs
import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.encaps import get_frame
from pydicom.pixels.utils import pixel_array
from pydicom.uid import JPEGLSLossless
from rich.console import Console
from rich.table import Table

from dicom_node.errors import BadSettings
from dicom_node.index import FILE as INDEX_FILE
from dicom_node.index import IndexReader
from dicom_node.ledger import FILE as LEDGER_FILE
from dicom_node.ledger import LedgerReader
from dicom_node.part10 import read_head
from dicom_node.study_query import StudyQuery
from sample_data.errors import PortUnavailable
from sample_data.pacs import PracticePacs
from sample_data.phantoms import write_sample
from sample_data.scanner import send_files

AE_TITLE: Final = "LIFEBOAT"
PACS_AE_TITLE: Final = "PRACTICE-PACS"
PREFERRED_PORTS: Final = (11112, 8080, 11113)
MARKER: Final = "lifeboat-demo.json"
STEP_TIMEOUT_S: Final = 60.0
GREY_TOLERANCE: Final = 1
COLOUR_TOLERANCE: Final = 3


class DemoFailed(Exception):
    """A step of the story did not hold; the message says which and why."""


@dataclass(slots=True)
class _Story:
    """What the steps share, and what each of them showed."""

    data: Path
    slices: int
    ports: tuple[int, int, int]
    console: Console
    files: dict[str, list[Path]] = field(default_factory=dict)
    steps: list[tuple[str, str, float]] = field(default_factory=list)

    @property
    def paths(self) -> list[Path]:
        return [path for series in self.files.values() for path in series]

    @property
    def board(self) -> str:
        return f"http://127.0.0.1:{self.ports[1]}/"

    def index(self) -> IndexReader:
        return IndexReader(self.data / "node" / INDEX_FILE)

    def ledger(self) -> LedgerReader:
        return LedgerReader(self.data / "node" / LEDGER_FILE)


def play(data: Path, *, slices: int, stay: bool) -> int:
    """Play the story.

    Parameters
    ----------
    data : Path
        The folder of the demonstration; emptied first if it is one.
    slices : int
        Slices of the phantom head CT.
    stay : bool
        Keep everything running afterwards, until Ctrl-C or SIGTERM.

    Returns
    -------
    int
        0 when every step was verified, else 1.

    Raises
    ------
    BadSettings
        The folder holds something else than a demonstration.
    """
    _empty_folder(data)
    story = _Story(data, slices, _choose_ports(preferred=stay), Console())
    pacs = PracticePacs(
        data / "practice-pacs",
        ae_title=PACS_AE_TITLE,
        port=story.ports[2],
        return_addresses={AE_TITLE: ("127.0.0.1", story.ports[0])},
    )
    stopping = _stop_signal()
    with (data / "node.log").open("ab") as log:
        node = _start_node(story, log)
        try:
            _play_steps(story, pacs, node, stopping)
            if stay and not stopping.is_set():
                _tell_where_to_look(story)
                stopping.wait()
        except DemoFailed as failure:
            story.console.print(f"[red]The story broke off:[/] {failure}")
            story.console.print(f"The node's own words are in {data / 'node.log'}")
            return 1
        finally:
            _stop_node(node)
            pacs.stop()
    return 0


def _play_steps(
    story: _Story, pacs: PracticePacs, node: subprocess.Popen[bytes], stopping: threading.Event
) -> None:
    steps: list[tuple[str, Callable[[], str]]] = [
        ("Phantom patients made", lambda: _make_patients(story)),
        ("Node is up", lambda: _wait_for_node(story, node)),
        ("PACS is down", lambda: _check_pacs_down(story)),
        ("Scanner sends to the node", lambda: _send(story)),
        ("Every instance on disk, byte for byte", lambda: _check_stored(story)),
        ("Every instance in the index", lambda: _check_indexed(story)),
        ("One image of each series as the formula says", lambda: _check_rendered(story)),
        ("PACS is back", lambda: _switch_on(pacs)),
        ("Every instance returned and proven", lambda: _wait_for_proof(story)),
        ("PACS holds each exactly once, byte for byte", lambda: _check_pacs(story, pacs)),
    ]
    for title, step in steps:
        if stopping.is_set():
            return
        began = time.monotonic()
        with story.console.status(title):
            shown = step()
        story.steps.append((title, shown, time.monotonic() - began))
        seconds = story.steps[-1][2]
        story.console.print(f"[green]✓[/] {title}: {shown} [dim]({seconds:.1f} s)[/]")
    story.console.print(_summary(story))


def _make_patients(story: _Story) -> str:
    story.files = write_sample(
        story.data / "sample",
        now=datetime.now(UTC),
        uid_seed=f"demo {time.time_ns()}",
        slices=story.slices,
    )
    return f"{len(story.paths)} instances in {len(story.files)} series"


def _wait_for_node(story: _Story, node: subprocess.Popen[bytes]) -> str:
    def is_up() -> bool:
        if node.poll() is not None:
            raise DemoFailed(f"the node ended with exit code {node.returncode}")
        return _is_listening(story.ports[0]) and _is_listening(story.ports[1])

    _wait_until(is_up, "the node did not start")
    return f"{AE_TITLE} on port {story.ports[0]}, board at {story.board}"


def _check_pacs_down(story: _Story) -> str:
    if _is_listening(story.ports[2]):
        raise DemoFailed("something answers where the PACS should be down")
    _wait_until(
        lambda: [item.is_reachable for item in story.ledger().destinations()] == [False],
        "the node did not notice that the PACS is down",
    )
    return "nothing answers, and the node says so"


def _send(story: _Story) -> str:
    began = time.monotonic()
    outcomes = send_files(story.paths, host="127.0.0.1", port=story.ports[0])
    refused = [item for item in outcomes if item.status != 0]
    if refused:
        raise DemoFailed(f"{len(refused)} of {len(outcomes)} instances were not acknowledged")
    rate = len(outcomes) / (time.monotonic() - began)
    return f"{len(outcomes)} of {len(outcomes)} acknowledged, {rate:.0f} a second"


def _check_stored(story: _Story) -> str:
    folder = story.data / "node" / "instances"
    # what is acknowledged is safe in the journal; its file follows within a second
    _wait_until(
        lambda: sum(1 for _ in folder.rglob("*.dcm")) >= len(story.paths),
        "not every instance got its file",
    )
    stored = _datasets(folder.rglob("*.dcm"))
    missing = [path for path in story.paths if _dataset(path) not in stored]
    if missing:
        raise DemoFailed(f"{len(missing)} instances are not on disk as they were sent")
    return f"{len(stored)} files"


def _check_indexed(story: _Story) -> str:
    wanted = len(story.paths)
    _wait_until(lambda: story.index().counts()["instances"] == wanted, "not all are indexed")
    counts = story.index().counts()
    return (
        f"{counts['studies']} studies, {counts['series']} series, {counts['instances']} instances"
    )


def _check_rendered(story: _Story) -> str:
    worst = 0
    for paths in story.files.values():
        ds = pydicom.dcmread(paths[len(paths) // 2])
        worst = max(worst, _compare_rendered(story, ds))
    return f"{len(story.files)} series, largest difference {worst} of 255"


def _compare_rendered(story: _Story, ds: pydicom.Dataset) -> int:
    """Return the largest difference between what the node shows and what the standard says."""
    is_grey = ds.SamplesPerPixel == 1
    expected = _expected_grey(ds) if is_grey else _expected_colour(ds)
    query = ""
    if is_grey:
        center, width = (float(_first(ds[name].value)) for name in ("WindowCenter", "WindowWidth"))
        query = f"?window={center:g},{width:g},linear"
    path = (
        f"/dicom-web/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}"
        f"/instances/{ds.SOPInstanceUID}/frames/1/rendered{query}"
    )
    picture = Image.open(io.BytesIO(_fetch(story.ports[1], path, accept="image/png")))
    shown = np.asarray(picture.convert("L" if is_grey else "RGB")).astype(int)
    if shown.shape != expected.shape:
        raise DemoFailed(f"a {ds.Modality} image is shown in another size than it has")
    difference = int(np.abs(shown - expected).max())
    if difference > (GREY_TOLERANCE if is_grey else COLOUR_TOLERANCE):
        raise DemoFailed(f"a {ds.Modality} image differs by {difference} grey levels")
    return difference


def _expected_grey(ds: pydicom.Dataset) -> NDArray[np.int_]:
    """Apply PS3.3 C.11.1 and C.11.2.1.2.1 plainly: display values 0-255."""
    center, width = (float(_first(ds[name].value)) for name in ("WindowCenter", "WindowWidth"))
    slope, intercept = float(ds.get("RescaleSlope", 1)), float(ds.get("RescaleIntercept", 0))
    x = _stored_values(ds).astype(np.float64) * slope + intercept
    y = ((x - (center - 0.5)) / (width - 1) + 0.5) * 255
    grey: NDArray[np.int_] = np.floor(np.clip(y, 0, 255) + 0.5).astype(int)
    return 255 - grey if ds.PhotometricInterpretation == "MONOCHROME1" else grey


def _stored_values(ds: pydicom.Dataset) -> NDArray[Any]:
    if ds.file_meta.TransferSyntaxUID == JPEGLSLossless:
        values: NDArray[Any] = imagecodecs.jpegls_decode(get_frame(ds.PixelData, 0))
        return values
    return ds.pixel_array


def _expected_colour(ds: pydicom.Dataset) -> NDArray[np.int_]:
    # pydicom turns YBR into RGB; index 0 is the first frame
    frame: NDArray[np.int_] = pixel_array(ds, index=0).astype(int)
    return frame


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, pydicom.multival.MultiValue) else value


def _switch_on(pacs: PracticePacs) -> str:
    try:
        pacs.start()
    except PortUnavailable as error:
        raise DemoFailed(str(error)) from error
    return f"{PACS_AE_TITLE} on port {pacs.port}"


def _wait_for_proof(story: _Story) -> str:
    wanted = len(story.paths)

    def is_proven() -> bool:
        counts = [item.counts["proven"] for item in story.ledger().destinations()]
        return counts == [wanted]

    _wait_until(is_proven, "not every instance was proven")
    proofs = sorted({proof for item in story.ledger().studies() for proof in item.proofs})
    return f"{wanted} of {wanted} proven by {' and '.join(proofs)}"


def _check_pacs(story: _Story, pacs: PracticePacs) -> str:
    often = [uid for uid, times in pacs.received.items() if times != 1]
    if often:
        raise DemoFailed(f"{len(often)} instances were sent more than once")
    held = _datasets(pacs.held.values())
    missing = [path for path in story.paths if _dataset(path) not in held]
    if missing or len(pacs.held) != len(story.paths):
        raise DemoFailed(f"the PACS lacks {len(missing)} instances as they were sent")
    return f"{len(pacs.held)} instances"


def _summary(story: _Story) -> Table:
    """Return the story in numbers: per study received, stored, proven, and when."""
    table = Table(title="The outage in numbers", title_justify="left")
    for name in ("Patient", "Modality", "Instances", "Proven", "Received", "Proven at", "By"):
        table.add_column(name)
    deliveries = {item.study_instance_uid: item for item in story.ledger().studies()}
    for study in story.index().search_studies(StudyQuery()):
        delivery = deliveries[study.study_instance_uid]
        table.add_row(
            study.patient_name,
            ", ".join(study.modalities_in_study),
            str(study.number_of_study_related_instances),
            str(delivery.counts["proven"]),
            study.last_received_at[11:19],
            delivery.proven_at[11:19],
            ", ".join(delivery.proofs),
        )
    total = sum(seconds for _, _, seconds in story.steps)
    table.caption = f"times in UTC; every step verified in {total:.1f} s"
    return table


def _tell_where_to_look(story: _Story) -> None:
    options = f"--data {story.data / 'node'}"
    story.console.print(f"\nLook at the studies board:  [bold]{story.board}[/]", highlight=False)
    story.console.print(f"What went back to the PACS: {story.board}sync", highlight=False)
    story.console.print(f"The same on a terminal:     lifeboat sync status {options}")
    story.console.print(
        f"Send something yourself:    storescu -aec {AE_TITLE} 127.0.0.1 {story.ports[0]} FILE.dcm",
        highlight=False,
    )
    story.console.print("Ctrl-C ends it.")


def _start_node(story: _Story, log: Any) -> subprocess.Popen[bytes]:
    dicom_port, web_port, pacs_port = story.ports
    settings = {
        "node.data": story.data / "node",
        "dicom.ae_title": AE_TITLE,
        "dicom.port": dicom_port,
        "web.port": web_port,
        "pacs.ae_title": PACS_AE_TITLE,
        "pacs.host": "127.0.0.1",
        "pacs.port": pacs_port,
        "sync.probe_interval_s": 1,
        "sync.retry_min_s": 1,
        "storage.reserve_bytes": 100_000_000,
        "storage.journal_bytes": 64 * 1024**2,
    }
    options = [f"--set={key}={value}" for key, value in settings.items()]
    return subprocess.Popen(
        [sys.executable, "-m", "lifeboat", "run", *options],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,  # Ctrl-C is ours to hear
    )


def _stop_node(node: subprocess.Popen[bytes]) -> None:
    node.terminate()
    try:
        node.wait(STEP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        node.kill()
        node.wait()


def _stop_signal() -> threading.Event:
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    return stopping


def _empty_folder(data: Path) -> None:
    """Make an empty folder; only one that we marked as ours is emptied."""
    if data.exists() and any(data.iterdir()):
        if not (data / MARKER).exists():
            raise BadSettings(f"{data} holds something else than a demonstration; choose --data")
        shutil.rmtree(data)
    data.mkdir(parents=True, exist_ok=True)
    (data / MARKER).write_text(json.dumps({"made_by": "lifeboat demo"}))


def _choose_ports(*, preferred: bool) -> tuple[int, int, int]:
    ports = [
        port if preferred and not _is_listening(port) else _free_port() for port in PREFERRED_PORTS
    ]
    return ports[0], ports[1], ports[2]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_listening(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False


def _wait_until(condition: Callable[[], bool], failure: str) -> None:
    deadline = time.monotonic() + STEP_TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            raise DemoFailed(failure)
        time.sleep(0.1)


def _fetch(port: int, path: str, *, accept: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=STEP_TIMEOUT_S)
    try:
        connection.request("GET", path, headers={"Accept": accept})
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise DemoFailed(f"an image could not be shown: HTTP {answer.status}")
    return body


def _datasets(paths: Iterable[Path]) -> set[bytes]:
    return {_dataset(path) for path in paths}


def _dataset(path: Path) -> bytes:
    """Return what stands for the data set bytes of a file: their SHA-256."""
    content = path.read_bytes()
    return hashlib.sha256(content[read_head(content).dataset_offset :]).digest()
