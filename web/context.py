"""What every request of the web room works with: settings, readers, clock, caches."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from flask import current_app

from dicom_node.clock import Clock, stamp
from dicom_node.correction_desk import CorrectionReader
from dicom_node.index import FILE as INDEX_FILE
from dicom_node.index import InstanceRecord
from dicom_node.ledger import FILE as LEDGER_FILE
from dicom_node.ledger import LedgerReader
from dicom_node.settings import Settings
from viewer.cache import ByteBoundedCache
from viewer.decode import Instance
from web.corrected import CorrectedIndex
from web.decoded_frames import DecodedFrames
from web.errors import NotFound
from web.mark_store import MarkStore
from web.opened_studies import OpenedStudies

EXTENSION: Final = "lifeboat"
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class WebContext:
    """Settings, readers of what other processes write, the clock and the caches of one process.

    `marks` is what people set on images; `bodies` keeps ready answers, up to a number of bytes;
    `frames` opens instances and decodes; `presets` are the windows offered for CT.
    """

    settings: Settings
    clock: Clock
    index: CorrectedIndex
    corrections: CorrectionReader
    ledger: LedgerReader
    marks: MarkStore
    bodies: ByteBoundedCache[Hashable, Any]
    frames: DecodedFrames
    presets: tuple[dict[str, Any], ...]
    opened: OpenedStudies

    @property
    def index_file(self) -> Path:
        """The index's file; only the receiving process writes it."""
        return self.settings.node.data / INDEX_FILE

    @property
    def ledger_file(self) -> Path:
        """The ledger's file; only the delivery process writes it."""
        return self.settings.node.data / LEDGER_FILE

    def close(self) -> None:
        """End the processes and threads that decode, and close what is written."""
        self.frames.close()
        self.marks.close()
        self.opened.close()

    def now_text(self) -> str:
        """Return the time now as ISO 8601 in UTC."""
        return stamp(self.clock())

    def record(self, study: str, series: str, instance: str) -> InstanceRecord:
        """Return one instance of the index.

        Parameters
        ----------
        study, series, instance : str
            Its UIDs; all three must fit together.

        Returns
        -------
        InstanceRecord

        Raises
        ------
        NotFound
            This node does not hold it there.
        """
        asked_at = self.frames.at_work.asked_at
        record = self.index.instance(study, series, instance, asked_at)
        if record is None:
            raise NotFound("This node does not hold that instance.")
        return record

    def open(self, record: InstanceRecord) -> Instance:
        """Return an instance with its header read; its compressed frames are decoded once.

        Parameters
        ----------
        record : InstanceRecord
            Its row in the index.

        Returns
        -------
        Instance

        Raises
        ------
        viewer.errors.UnreadableFile
            The file is damaged, away, or holds another instance than the index says.
        """
        return self.frames.open(record)

    def kept(self, key: Hashable, make: Callable[[], _Value]) -> _Value:
        """Return what was made before for a key, or make it once and keep it a while.

        Parameters
        ----------
        key : hashable
            Holds the digest of the instance, so that other bytes never answer for it.
        make : callable
            Makes the value.

        Returns
        -------
        object
            What `make` returned.
        """
        return cast(_Value, self.bodies.get_or_compute(key, make))


def current() -> WebContext:
    """Return the context of the application that answers now.

    Returns
    -------
    WebContext
    """
    context: Any = current_app.extensions[EXTENSION]
    return cast(WebContext, context)
