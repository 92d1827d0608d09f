"""The application entity: what we accept, from whom, and which service answers."""

import logging
import ssl
import threading
import time
from collections.abc import Callable
from typing import Final, cast

from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification  # type: ignore[attr-defined]  # made at import time

from dicom_node.association_request import (
    TOO_MANY_ASSOCIATIONS,
    printable,
    read_request,
    rejection_pdu,
)
from dicom_node.certificate import Certificate
from dicom_node.clock import Clock, utc_now
from dicom_node.errors import BadSettings, NodeError
from dicom_node.fast_store import FastHandler, FastProvider, FastServer
from dicom_node.ingest import Ingest
from dicom_node.listener import peer_of
from dicom_node.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.policy import Caller, Policy, right_needed
from dicom_node.refusals import Count
from dicom_node.services.commitment import AddReports, handle_commitment_report
from dicom_node.services.store import StorageService, accept_storage
from dicom_node.services.verification import handle_echo
from dicom_node.setting_tables import DicomSettings, TlsSettings
from dicom_node.settings import Settings
from dicom_node.transport import HELLO_TIMEOUT_S

_log = logging.getLogger(__name__)

CERTIFICATE_POLL_S: Final = 30.0
"""How often the files of the certificate are looked at, seconds."""
_POLL_S = 0.05
_ANY_NUMBER = 1_000_000
_QUIET_S = 1.0
"""An association that was silent this long is between two instances, seconds."""


class DicomServer:
    """The DICOM port of the node, and the encrypted one beside it.

    Parameters
    ----------
    settings : DicomSettings
    ingest : Ingest
    add_reports : callable
        Keeps storage commitment reports.
    clock : Clock
    tls : TlsSettings
    policy : Policy, optional
        Who may call; without one, everybody.
    count_refusal : Count
        Told of everyone who is turned away.
    on_trouble : callable
        Told of what the disk refused.
    """

    def __init__(
        self,
        settings: DicomSettings,
        ingest: Ingest,
        add_reports: AddReports,
        clock: Clock = utc_now,
        *,
        tls: TlsSettings = TlsSettings(),  # noqa: B008 - frozen
        policy: Policy | None = None,
        count_refusal: Count = lambda calling_ae_title, address, reason: None,
        on_trouble: Callable[[NodeError], None] = lambda error: None,
    ) -> None:
        self._settings = settings
        self._tls = tls
        self._certificate = Certificate(tls, clock)
        self._policy = policy or Policy(Settings(dicom=settings))
        self._count_refusal = count_refusal
        self._entity = _application_entity(settings)
        self._storage = StorageService(ingest, on_trouble)
        self._handlers: list[evt.EventHandlerType] = [
            (evt.EVT_REQUESTED, accept_storage),
            (evt.EVT_REQUESTED, self._apply_rights),  # after all that add contexts
            (evt.EVT_C_ECHO, handle_echo),
            (evt.EVT_N_EVENT_REPORT, handle_commitment_report, [add_reports, clock]),
        ]
        self._servers: dict[str, FastServer] = {}
        self._stopping = threading.Event()
        self._keeper = threading.Thread(target=self._keep_tls, name="certificate", daemon=True)

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
        port = self._listen("dicom", self._settings.port)
        if self._tls.is_wanted:
            self._look_at_certificate()
            self._keeper.start()
        return port

    def stop(self, *, sleep: Callable[[float], None] = time.sleep) -> None:
        """Stop accepting, let what is being sent finish, then end the associations."""
        self._stopping.set()
        if self._keeper.is_alive():
            self._keeper.join()
        for server in self._servers.values():
            server.shutdown()
        deadline = time.monotonic() + self._settings.drain_timeout_s
        while self._is_busy() and time.monotonic() < deadline:
            sleep(_POLL_S)
        for association in self._associations():
            association.abort()

    def _listen(self, name: str, port: int, context: ssl.SSLContext | None = None) -> int:
        host = self._settings.host
        try:
            server = cast(
                FastServer,
                self._entity.make_server(
                    (host, port),
                    evt_handlers=self._handlers,
                    server_class=FastServer,
                    request_handler=FastHandler,
                    ssl_context=context,
                ),
            )
        except OSError as exc:
            raise BadSettings(
                f"cannot listen for DICOM on {host} port {port}: {exc.strerror};"
                f" set dicom.host and {name}.port"
            ) from exc
        server.storage = self._storage
        server.maximum_object_bytes = self._settings.maximum_object_bytes
        server.maximum_waiting_per_address = self._settings.maximum_waiting_per_address
        server.decide = self._decide
        server.turned_away = self._turned_away
        self._servers[name] = server
        server.start(name)
        chosen = int(server.server_address[1])
        _log.info(f"{name}_listening", extra={"port": chosen})
        return chosen

    def _keep_tls(self) -> None:
        while not self._stopping.wait(CERTIFICATE_POLL_S):
            self._look_at_certificate()

    def _look_at_certificate(self) -> None:
        """Serve TLS with the certificate as it is now; without a good one plain DICOM goes on."""
        self._certificate.warn()
        context = self._certificate.renewed()
        if context is None:
            return
        if "tls" in self._servers:
            self._servers["tls"].ssl_context = context
            return
        try:
            self._listen("tls", self._tls.port, context)
        except BadSettings:
            _log.exception("tls_not_listening", extra={"port": self._tls.port})

    def _associations(self) -> list[Association]:
        return [one for server in self._servers.values() for one in server.active_associations]

    def _is_busy(self) -> bool:
        quiet_since = time.monotonic() - _QUIET_S
        providers = [cast(FastProvider, item.dul) for item in self._associations()]
        return any(item.is_receiving or item.heard_at > quiet_since for item in providers)

    def _decide(self, hello: bytes, address: str) -> bytes:
        """Answer a request that is refused, before it costs anything."""
        request = read_request(hello)
        rejection = self._policy.rejection(request, address)
        if rejection is None and self._is_full_for(address):
            rejection = TOO_MANY_ASSOCIATIONS
        if rejection is None:
            return b""
        self._count_refusal(printable(request.calling_ae_title), address, rejection.reason)
        return rejection_pdu(rejection)

    def _turned_away(self, address: str, reason: str) -> None:
        self._count_refusal("", address, reason)

    def _is_full_for(self, address: str) -> bool:
        """Tell whether one more is one too many; those that wait at the door do not count.

        A quarter of the places is left to the other addresses.
        """
        peers = [peer_of((one.requestor.address,)) for one in self._associations() if _lives(one)]
        most = self._settings.maximum_associations
        return len(peers) >= most or peers.count(address) >= most - most // 4

    def _apply_rights(self, event: evt.Event) -> None:
        """Leave only the contexts this caller has a right to."""
        acceptor = event.assoc.acceptor
        request = cast(A_ASSOCIATE, event.assoc.requestor.primitive)
        title = str(request.calling_ae_title).strip()
        address = peer_of((event.assoc.requestor.address,))
        caller = self._policy.caller(title, address) or Caller("", frozenset())
        if caller.is_unknown:
            _log.warning("unknown_accepted", extra={"ae_title": title, "peer": address})
        wanted = [
            str(context.abstract_syntax) for context in request.presentation_context_definition_list
        ]
        for right in sorted({right_needed(uid) for uid in wanted} - caller.rights):
            self._count_refusal(title, address, f"no-right-to-{right}")
        acceptor.supported_contexts = [
            context
            for context in acceptor.supported_contexts
            if right_needed(str(context.abstract_syntax)) in caller.rights
        ]


def _lives(association: Association) -> bool:
    return not (association.is_released or association.is_aborted or association.is_rejected)


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
