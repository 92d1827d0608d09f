"""The practice PACS: a small, well-behaved archive to switch off and on.

It answers C-ECHO, takes every storage class in every transfer syntax and keeps the bytes as they
came, answers C-FIND of the Study Root, and commits to what it holds. It forgets nothing when it
is stopped and started again on the same folder.
"""

import errno
import signal
import threading
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from socketserver import TCPServer
from types import TracebackType
from typing import Self, cast

import click
from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE, N_ACTION
from pynetdicom.events import Event, EventHandlerType
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.pdu_primitives import SOPClassCommonExtendedNegotiation
from pynetdicom.transport import ThreadedAssociationServer

from sample_data.address import parse_address
from sample_data.answers import keep_answers
from sample_data.commitment import (
    CommitmentRequest,
    check_request,
    event_report,
    report_on,
    report_to_address,
)
from sample_data.errors import BadAddress, PortUnavailable
from sample_data.holdings import Holdings, is_safe_uid, read_header
from sample_data.query import BadIdentifier, find
from sample_data.sockets import send_at_once
from sample_data.sop_classes import STORAGE_COMMITMENT, STUDY_ROOT_FIND, VERIFICATION
from sample_data.storage_contexts import common_extended_items, storage_contexts

SUCCESS = 0x0000
PENDING = 0xFF00
CANCELLED = 0xFE00
DATA_SET_MISMATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000

MAX_PDU_BYTES = 131_072
MAX_ASSOCIATIONS = 100
POLL_S = 0.05
TIMEOUT_S = 30.0
COURIER_TIMEOUT_S = 5.0
COURIER_GRACE_S = 1.0
"""How long `PracticePacs.stop` waits for a commitment result on its way, in seconds."""
RETRY_PAUSES_S = (0.5, 1.0, 2.0)

_UNREADABLE = (
    InvalidDicomError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    NotImplementedError,
    OSError,
    EOFError,
    zlib.error,
)


class _Server(ThreadedAssociationServer):
    """Queues more connections than the library's, and is its own keeper."""

    request_queue_size = 128

    def shutdown(self) -> None:
        TCPServer.shutdown(self)
        self.server_close()


class PracticePacs:
    """An archive for practice, on one TCP port.

    Use it as a context manager, or call `start` and `stop`, as often as wanted.

    Parameters
    ----------
    folder : Path
        Where it keeps what it receives: ``instances/<study>/<series>/<instance>.dcm`` and
        ``received.log``, one JSON line per C-STORE.
    ae_title : str
        Its AE title; it answers whatever title it is called by.
    host, port : str, int
        Where it listens; port 0 takes a free one, and keeps it from then on.
    commitment : bool
        Whether it offers storage commitment at all.
    return_addresses : mapping of str to (str, int)
        Where commitment results go: AE title of a requestor to its host and port. A requestor
        that is not listed gets its result on the association of its request, if still open.
    retry_pauses_s : sequence of float
        Pauses between the attempts to deliver a commitment result, in seconds.

    Notes
    -----
    A practice PACS for demonstrations and tests: no access control, no waiting for the disk.
    PS3.4 Annexes A, B, C and J.
    """

    def __init__(
        self,
        folder: Path,
        *,
        ae_title: str = "PRACTICE-PACS",
        host: str = "127.0.0.1",
        port: int,
        commitment: bool = True,
        return_addresses: Mapping[str, tuple[str, int]] | None = None,
        retry_pauses_s: Sequence[float] = RETRY_PAUSES_S,
    ) -> None:
        self.ae_title = ae_title
        self.host = host
        self.port = port
        self._offers_commitment = commitment
        self._return_addresses = dict(return_addresses or {})
        self._retry_pauses_s = tuple(retry_pauses_s)
        self._holdings = Holdings(folder)
        self._server: _Server | None = None
        self._entity: AE | None = None
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._accepted: dict[Association, list[CommitmentRequest]] = {}
        self._couriers: list[threading.Thread] = []

    @property
    def received(self) -> Counter[str]:
        """How often each SOP Instance UID arrived by C-STORE, whatever was answered."""
        return self._holdings.received

    @property
    def held(self) -> dict[str, Path]:
        """The file of every instance it holds, by SOP Instance UID."""
        return {item.sop_instance_uid: item.path for item in self._holdings.all()}

    @property
    def is_running(self) -> bool:
        """Whether it listens."""
        return self._server is not None

    def start(self) -> None:
        """Listen. Does nothing when already running.

        Raises
        ------
        PortUnavailable
            If the address cannot be bound.
        """
        if self._server is not None:
            return
        self._stopping.clear()
        entity = self._make_server_entity()
        try:
            server = cast(
                _Server,
                entity.make_server(
                    (self.host, self.port), evt_handlers=self._handlers(), server_class=_Server
                ),
            )
        except OSError as error:
            why = "already in use" if error.errno == errno.EADDRINUSE else "not available"
            raise PortUnavailable(f"port {self.port} on {self.host} is {why}") from error
        threading.Thread(target=server.serve_forever, args=(POLL_S,), daemon=True).start()
        self._entity, self._server = entity, server
        self.port = int(server.server_address[1])

    def stop(self) -> None:
        """Stop listening and abort every open association, as a power cut would."""
        if self._entity is None or self._server is None:
            return
        self._stopping.set()
        with self._lock:
            couriers = list(self._couriers)
            self._couriers.clear()
            self._accepted.clear()
        for courier in couriers:
            courier.join(COURIER_GRACE_S)
        self._server.shutdown()
        self._entity.shutdown()
        self._entity = self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _make_server_entity(self) -> AE:
        entity = _make_entity(self.ae_title, TIMEOUT_S)
        entity.add_supported_context(VERIFICATION)
        entity.add_supported_context(STUDY_ROOT_FIND)
        if self._offers_commitment:
            entity.add_supported_context(STORAGE_COMMITMENT)
        return entity

    def _handlers(self) -> list[EventHandlerType]:
        return [
            (evt.EVT_CONN_OPEN, send_at_once),
            (evt.EVT_CONN_OPEN, keep_answers),
            (evt.EVT_REQUESTED, _accept_storage),
            (evt.EVT_SOP_COMMON, _name_storage),
            (evt.EVT_C_ECHO, lambda _event: SUCCESS),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_N_ACTION, self._take_commitment_request),
            (evt.EVT_PDU_SENT, self._send_reports_after_answer),
        ]

    def _store(self, event: Event) -> int:
        request = cast(C_STORE, event.request)
        self._holdings.count(str(request.AffectedSOPInstanceUID))
        part10 = event.encoded_dataset()
        try:
            header = read_header(part10)
            uids = [header.StudyInstanceUID, header.SeriesInstanceUID, header.SOPInstanceUID]
        except _UNREADABLE:
            return CANNOT_UNDERSTAND
        if not all(is_safe_uid(str(uid)) for uid in uids):
            return CANNOT_UNDERSTAND
        asked = (request.AffectedSOPClassUID, request.AffectedSOPInstanceUID)
        if (header.get("SOPClassUID"), header.SOPInstanceUID) != asked:
            return DATA_SET_MISMATCH
        self._holdings.keep(part10, header)
        return SUCCESS

    def _find(self, event: Event) -> Iterator[tuple[int | Dataset, Dataset | None]]:
        headers = [item.header for item in self._holdings.all()]
        try:
            answers = find(headers, event.identifier, self.ae_title)
        except BadIdentifier as error:
            yield _failure(DATA_SET_MISMATCH, str(error)), None
            return
        for answer in answers:
            if event.is_cancelled:
                yield CANCELLED, None
                return
            yield PENDING, answer

    def _take_commitment_request(self, event: Event) -> tuple[int, None]:
        asked = cast(N_ACTION, event.request)
        status, request = check_request(
            int(event.action_type or 0),
            str(asked.RequestedSOPInstanceUID),
            event.action_information if asked.ActionInformation else None,
        )
        if request is not None:
            with self._lock:
                self._accepted.setdefault(event.assoc, []).append(request)
        return status, None

    def _send_reports_after_answer(self, event: Event) -> None:
        """Start delivering once the answer to the N-ACTION has left."""
        if not isinstance(event.pdu, P_DATA_TF):
            return
        with self._lock:
            self._couriers = [courier for courier in self._couriers if courier.is_alive()]
            for request in self._accepted.pop(event.assoc, []):
                courier = threading.Thread(
                    target=self._deliver, args=(request, event.assoc), daemon=True
                )
                self._couriers.append(courier)
                courier.start()

    def _deliver(self, request: CommitmentRequest, asked_on: Association) -> None:
        report = event_report(request, self._class_held, self.ae_title)
        requestor = str(asked_on.requestor.ae_title).strip()
        address = self._return_addresses.get(requestor)
        if address is None:
            report_on(asked_on, report)
        else:
            report_to_address(
                _make_entity(self.ae_title, COURIER_TIMEOUT_S),
                address,
                requestor,
                report,
                pauses_s=self._retry_pauses_s,
                stopping=self._stopping,
            )

    def _class_held(self, sop_instance_uid: str) -> str | None:
        held = self._holdings.get(sop_instance_uid)
        return held.sop_class_uid if held is not None else None


def _make_entity(ae_title: str, timeout_s: float) -> AE:
    entity = AE(ae_title=ae_title)
    entity.maximum_pdu_size = MAX_PDU_BYTES
    entity.maximum_associations = MAX_ASSOCIATIONS
    entity.connection_timeout = timeout_s
    entity.acse_timeout = timeout_s
    entity.dimse_timeout = timeout_s
    return entity


def _accept_storage(event: Event) -> None:
    acceptor = event.assoc.acceptor
    proposed = event.assoc.requestor.requested_contexts
    acceptor.supported_contexts = [*acceptor.supported_contexts, *storage_contexts(proposed)]


def _name_storage(event: Event) -> dict[UID, SOPClassCommonExtendedNegotiation]:
    return common_extended_items(event.assoc.requestor.requested_contexts)


def _failure(status: int, comment: str) -> Dataset:
    answer = Dataset()
    answer.Status = status
    answer.ErrorComment = comment[:64]
    return answer


def _parse_return(text: str) -> tuple[str, tuple[str, int]]:
    ae_title, equals, address = text.partition("=")
    if not equals or not ae_title:
        raise BadAddress(f"{text!r} is not AET=HOST:PORT")
    return ae_title, parse_address(address)


@click.command()
@click.option("--port", type=int, default=11113, show_default=True, help="0 takes a free port.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--aet", "ae_title", default="PRACTICE-PACS", show_default=True)
@click.option("--folder", type=click.Path(path_type=Path), required=True, help="Where it keeps.")
@click.option("--return", "returns", multiple=True, metavar="AET=HOST:PORT")
@click.option("--commitment/--no-commitment", default=True, show_default=True)
def main(
    port: int, host: str, ae_title: str, folder: Path, returns: tuple[str, ...], commitment: bool
) -> None:
    """Run a practice PACS until SIGTERM or Ctrl-C.

    Example: python -m sample_data.pacs --port 11113 --folder practice-pacs
    --return LIFEBOAT=127.0.0.1:11112
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    try:
        pacs = PracticePacs(
            folder,
            ae_title=ae_title,
            host=host,
            port=port,
            commitment=commitment,
            return_addresses=dict(map(_parse_return, returns)),
        )
        pacs.start()
    except (BadAddress, PortUnavailable) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"practice PACS {ae_title} listening on {pacs.host}:{pacs.port}")
    stop.wait()
    pacs.stop()


if __name__ == "__main__":
    main()
