"""Instances, peers and ports for the tests of the practice room."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from sample_data.pacs import PracticePacs

DEADLINE_S = 20.0


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, "did not happen in time"
            time.sleep(0.02)

    return wait


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def make_file(tmp_path: Path) -> Callable[..., Path]:
    def make(**elements: object) -> Path:
        dataset = Dataset()
        dataset.SOPClassUID = SecondaryCaptureImageStorage
        dataset.SOPInstanceUID = generate_uid()
        dataset.StudyInstanceUID = "1.2.3.1"
        dataset.SeriesInstanceUID = "1.2.3.1.1"
        dataset.PatientName = "PHANTOM^TEST"
        dataset.PatientID = "PH-TEST"
        dataset.StudyDate = "20260102"
        dataset.Modality = "OT"
        dataset.Rows = dataset.Columns = dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.PixelRepresentation, dataset.HighBit = 0, 7
        dataset.PixelData = np.arange(64, dtype=np.uint8).tobytes()
        transfer_syntax = elements.pop("transfer_syntax_uid", ExplicitVRLittleEndian)
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = transfer_syntax
        path = tmp_path / f"{dataset.SOPInstanceUID}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        return path

    return make


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[PracticePacs]:
    with PracticePacs(tmp_path / "pacs", port=0, retry_pauses_s=(0.1, 0.1)) as running:
        yield running


@pytest.fixture
def storescp(
    tmp_path: Path, free_port: int, wait_until: Callable[[Callable[[], bool]], None]
) -> Iterator[tuple[int, Path]]:
    program = shutil.which("storescp")
    if program is None:
        pytest.skip("DCMTK is not installed")
    folder = tmp_path / "storescp"
    folder.mkdir()
    command = [program, "+xa", "-od", str(folder), str(free_port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _listens(free_port))
        yield free_port, folder
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def dcmtk() -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        found = shutil.which(program)
        if found is None:
            pytest.skip("DCMTK is not installed")
        return subprocess.run(
            [found, *arguments], capture_output=True, text=True, timeout=60, check=False
        )

    return run
