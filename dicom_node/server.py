"""The application entity: what we accept, from whom, and which service answers."""

import logging
import threading
import time
from collections.abc import Callable
from typing import cast

from pynetdicom import AE, _config, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification  # type: ignore[attr-defined]  # made at import time

from dicom_node.clock import Clock, utc_now
from dicom_node.errors import BadSettings
from dicom_node.fast_store import FastHandler, FastProvider, FastServer
from dicom_node.ingest import Ingest
from dicom_node.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.services.commitment import AddReports, handle_commitment_report
from dicom_node.services.store import StorageService, accept_storage
from dicom_node.services.verification import handle_echo
from dicom_node.settings import DicomSettings
from dicom_node.transport import HELLO_TIMEOUT_S

_log = logging.getLogger(__name__)

_POLL_S = 0.05
_LOCAL_LIMIT_EXCEEDED = (2, 3, 2)
"""A-ASSOCIATE-RJ: transient, by the presentation layer, local limit exceeded (PS3.8 9.3.4)."""
_ANY_NUMBER = 1_000_000
_QUIET_S = 1.0
"""An association that was silent this long is between two instances, seconds."""


class DicomServer:
    """The DICOM port of the node.

    Parameters
    ----------
    settings : DicomSettings
    ingest : Ingest
    add_reports : callable
        Keeps storage commitment reports.
    clock : Clock
    """

    def __init__(
        self,
        settings: DicomSettings,
        ingest: Ingest,
        add_reports: AddReports,
        clock: Clock = utc_now,
    ) -> None:
        self._settings = settings
        self._entity = _application_entity(settings)
        self._storage = StorageService(ingest)
        self._handlers: list[evt.EventHandlerType] = [
            (evt.EVT_REQUESTED, accept_storage),
            (evt.EVT_REQUESTED, self._limit_associations),
            (evt.EVT_C_ECHO, handle_echo),
            (evt.EVT_N_EVENT_REPORT, handle_commitment_report, [add_reports, clock]),
        ]
        self._server: FastServer | None = None

    def start(self) -> int:
        """Listen.

        Returns
        -------
        int
            The port, which the system chose if the setting is 0.

        Raises
        ------
        BadSettings
            The address cannot be listened on.
        """
        address = (self._settings.host, self._settings.port)
        try:
            server = cast(
                FastServer,
                self._entity.make_server(
                    address,
                    evt_handlers=self._handlers,
                    server_class=FastServer,
                    request_handler=FastHandler,
                ),
            )
        except OSError as exc:
            raise BadSettings(
                f"cannot listen for DICOM on {address[0]} port {address[1]}: {exc.strerror};"
                " set dicom.host and dicom.port"
            ) from exc
        server.storage = self._storage
        server.maximum_object_bytes = self._settings.maximum_object_bytes
        self._server = server
        threading.Thread(target=server.serve_forever, name="dicom", daemon=True).start()
        port = int(server.server_address[1])
        _log.info("dicom_listening", extra={"port": port})
        return port

    def stop(self, *, sleep: Callable[[float], None] = time.sleep) -> None:
        """Stop accepting, let what is being sent finish, then end the associations."""
        if self._server is None:
            return
        self._server.shutdown()
        deadline = time.monotonic() + self._settings.drain_timeout_s
        while self._is_busy() and time.monotonic() < deadline:
            sleep(_POLL_S)
        for association in self._server.active_associations:
            association.abort()

    def _is_busy(self) -> bool:
        active = self._server.active_associations if self._server else []
        quiet_since = time.monotonic() - _QUIET_S
        providers = [cast(FastProvider, item.dul) for item in active]
        return any(item.is_receiving or item.heard_at > quiet_since for item in providers)

    def _limit_associations(self, event: evt.Event) -> None:
        """Turn away, for now, what is beyond the limit; silent connections do not count."""
        active = self._server.active_associations if self._server else []
        established = sum(1 for item in active if item.is_established)
        if established >= self._settings.maximum_associations:
            _log.warning("association_refused", extra={"count": established})
            event.assoc.acse.send_reject(*_LOCAL_LIMIT_EXCEEDED)
            event.assoc.is_rejected = True
            event.assoc.kill()


def _application_entity(settings: DicomSettings) -> AE:
    # switches of the library for the whole process: log no identifiers
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
    entity = AE(ae_title=settings.ae_title)
    entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    entity.require_called_aet = settings.check_called_ae_title
    entity.maximum_associations = _ANY_NUMBER  # it counts silent connections; we count ourselves
    entity.acse_timeout = HELLO_TIMEOUT_S
    entity.maximum_pdu_size = settings.maximum_pdu_size
    entity.network_timeout = settings.idle_timeout_s
    entity.dimse_timeout = settings.idle_timeout_s
    entity.add_supported_context(Verification)
    # the PACS proposes itself as SCP on the associations it opens to report a commitment
    entity.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
    return entity
