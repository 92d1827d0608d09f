"""What the practice PACS holds: Part 10 files in a folder, and their headers in memory."""

import json
import os
import re
import threading
from collections import Counter
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pydicom import Dataset, dcmread

HEADER_KEYWORDS = (
    "SpecificCharacterSet",
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyDate",
    "SeriesDate",
    "AcquisitionDate",
    "ContentDate",
    "StudyTime",
    "SeriesTime",
    "AccessionNumber",
    "Modality",
    "Manufacturer",
    "InstitutionName",
    "ReferringPhysicianName",
    "StudyDescription",
    "SeriesDescription",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "BodyPartExamined",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "StudyID",
    "SeriesNumber",
    "InstanceNumber",
    "Laterality",
    "NumberOfFrames",
    "Rows",
    "Columns",
)
"""The elements that can be asked for by C-FIND."""

RECEIVED_LOG = "received.log"
_UID = re.compile(r"[0-9.]{1,64}")


@dataclass(frozen=True, slots=True)
class Held:
    """One instance as the practice PACS holds it.

    Attributes
    ----------
    header : Dataset
        The elements of `HEADER_KEYWORDS` that the instance carries.
    path : Path
        Its Part 10 file.
    """

    header: Dataset
    path: Path

    @property
    def sop_instance_uid(self) -> str:
        """(0008,0018)."""
        return str(self.header.SOPInstanceUID)

    @property
    def sop_class_uid(self) -> str:
        """(0008,0016)."""
        return str(self.header.SOPClassUID)


def read_header(part10: bytes | Path) -> Dataset:
    """Read the elements of `HEADER_KEYWORDS`.

    Parameters
    ----------
    part10 : bytes or Path
        A file in the DICOM File Format, or its content.

    Returns
    -------
    Dataset
        Only those elements.
    """
    source = BytesIO(part10) if isinstance(part10, bytes) else part10
    header = dcmread(source, stop_before_pixels=True, specific_tags=list(HEADER_KEYWORDS))
    for _ in header:  # decode now: decoding on access is not safe between threads
        pass
    return header


def is_safe_uid(uid: str) -> bool:
    """Whether a UID can name a file: digits and dots, at most 64 characters, no empty part."""
    return bool(_UID.fullmatch(uid)) and all(uid.split("."))


class Holdings:
    """The instances of the practice PACS; every method may be called from any thread.

    Parameters
    ----------
    folder : Path
        Created when missing; what it already holds is read.

    Attributes
    ----------
    received : Counter[str]
        How often each SOP Instance UID arrived, also before the last start.

    Notes
    -----
    Files are written beside their final place and renamed, so a file is whole or absent, and what
    was acknowledged survives the end of the process. It is a practice PACS: it does not wait for
    the disk.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._held: dict[str, Held] = {}
        self.received: Counter[str] = Counter()
        self._incoming = folder / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        self._sequence = 0
        self._load()

    def keep(self, part10: bytes, header: Dataset) -> None:
        """Store one instance; a later one with the same SOP Instance UID takes its place.

        Parameters
        ----------
        part10 : bytes
            The file as it shall lie on disk.
        header : Dataset
            What `read_header` found in it; its three UIDs must be safe.
        """
        path = self._path_of(header)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._incoming / f"{self._next_number()}.part"
        temporary.write_bytes(part10)
        with self._lock:
            os.replace(temporary, path)
            self._held[str(header.SOPInstanceUID)] = Held(header, path)

    def count(self, sop_instance_uid: str) -> None:
        """Note that a C-STORE of this instance arrived, in memory and in `received.log`.

        Parameters
        ----------
        sop_instance_uid : str
            (0000,1000) of the request.
        """
        line = json.dumps({"sop_instance_uid": sop_instance_uid}) + "\n"
        with self._lock:
            self.received[sop_instance_uid] += 1
            with (self._folder / RECEIVED_LOG).open("a", encoding="utf-8") as log:
                log.write(line)

    def all(self) -> list[Held]:
        """Return everything held, in the order of arrival."""
        with self._lock:
            return list(self._held.values())

    def get(self, sop_instance_uid: str) -> Held | None:
        """Return one instance, or None when it is not held."""
        with self._lock:
            return self._held.get(sop_instance_uid)

    def _path_of(self, header: Dataset) -> Path:
        study, series, instance = (
            str(header.StudyInstanceUID),
            str(header.SeriesInstanceUID),
            str(header.SOPInstanceUID),
        )
        return self._folder / "instances" / study / series / f"{instance}.dcm"

    def _next_number(self) -> int:
        with self._lock:
            self._sequence += 1
            return self._sequence

    def _load(self) -> None:
        for leftover in self._incoming.glob("*.part"):
            leftover.unlink()
        for path in sorted((self._folder / "instances").glob("*/*/*.dcm")):
            held = Held(read_header(path), path)
            self._held[held.sop_instance_uid] = held
        log = self._folder / RECEIVED_LOG
        if log.exists():
            self.received.update(read_received(log))


def read_received(log: Path) -> Counter[str]:
    """Count the lines of a `received.log`.

    Parameters
    ----------
    log : Path
        The file; a last line still being written is left out.

    Returns
    -------
    Counter[str]
        How often each SOP Instance UID arrived.
    """
    lines = log.read_text(encoding="utf-8").split("\n")[:-1]
    return Counter(json.loads(line)["sop_instance_uid"] for line in lines)
