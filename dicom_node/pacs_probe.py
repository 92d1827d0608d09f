"""Is the PACS there, and of use? Layer by layer, each with a short deadline of its own.

Name, connection, association, C-ECHO, and where the site allows a query and a trial store. An
archive can pass one layer and fail the next: frozen programs still accept connections, and one
with a full disk still answers C-ECHO.
"""

import errno
import functools
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from pydicom.dataset import Dataset

from dicom_node.errors import BadDataset, BadSettings
from dicom_node.pacs_tls import handshake_words, tls_to
from dicom_node.probe_association import ProbeAssociation, Rejected
from dicom_node.probe_command import C_ECHO_RQ, C_FIND_RQ, C_STORE_RQ, write_request
from dicom_node.setting_tables import PacsSettings
from dicom_node.trial_object import TrialObject, encoded
from dicom_node.verdict import SILENT_WORDS, Condition, Layer, Verdict

PATIENCE: Final = 4
"""All layers together may take this many times what one may."""

_VERIFICATION: Final = "1.2.840.10008.1.1"
_STUDY_ROOT_FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"
_NOBODYS_STUDY: Final = "2.25.1"
"""A UID no study has."""
_TRANSIENT: Final = 2
_PRESENTATION_SERVICE: Final = 3
_UNKNOWN_CALLER: Final = (1, 3)
_UNKNOWN_CALLED: Final = (1, 7)
_NO_WAY: Final = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN)
_CLOSED_WORDS: Final = {
    False: "it accepts connections and closes them",
    True: "it ends the connection once TLS stands: it may not accept our certificate; "
    "see pacs.tls_certificate",
}


class _Found(Exception):
    """The layer in hand does not work; ends the probe."""

    def __init__(self, condition: Condition, words: str) -> None:
        super().__init__()
        self.condition, self.words = condition, words


def probe_pacs(
    pacs: PacsSettings,
    our_ae_title: str,
    *,
    trial: TrialObject | None = None,
    on_layer: Callable[[Layer], None] = lambda layer: None,
    monotonic: Callable[[], float] = time.monotonic,
) -> Verdict:
    """Find out how a PACS is.

    Parameters
    ----------
    pacs : PacsSettings
        `probe_timeout_s` is how long each layer may take.
    our_ae_title : str
        How we call ourselves.
    trial : TrialObject, optional
        Given to it to store, when everything before worked.
    on_layer : callable
        Told each layer before it is tried. Looking up a name cannot be given a deadline: who
        listens here can end this process.
    monotonic : callable
        A clock that never jumps, seconds.

    Returns
    -------
    Verdict
    """
    probe = _Probe(pacs, our_ae_title, trial, on_layer, monotonic)
    try:
        probe.run()
    except _Found as found:
        return Verdict(found.condition, probe.layer, found.words, probe.durations_ms())
    words = "it takes instances" if probe.layer is Layer.STORE else "it answers C-ECHO"
    return Verdict(Condition.HEALTHY, probe.layer, words, probe.durations_ms())


class _Probe:
    def __init__(
        self,
        pacs: PacsSettings,
        our_ae_title: str,
        trial: TrialObject | None,
        on_layer: Callable[[Layer], None],
        monotonic: Callable[[], float],
    ) -> None:
        self.layer = Layer.NAME
        self._pacs = pacs
        self._our_ae_title = our_ae_title
        self._trial = trial
        self._on_layer = on_layer
        self._monotonic = monotonic
        self._end = monotonic() + PATIENCE * pacs.probe_timeout_s
        self._began: dict[Layer, float] = {}
        self._ended: float | None = None

    def run(self) -> None:
        addresses = self._resolve()
        connection = self._encrypt(self._connect(addresses))
        association = ProbeAssociation(connection, self._monotonic)
        try:
            accepted = self._associate(association)
            self._echo(association, accepted)
            if self._pacs.probe_find:
                self._find(association, accepted)
            if self._trial is not None:
                self._store(association, accepted, self._trial)
        except BaseException:
            self._ended = self._monotonic()
            association.abort()
            raise
        self._ended = self._monotonic()
        association.close()

    def durations_ms(self) -> dict[str, int]:
        last = self._monotonic() if self._ended is None else self._ended
        ends = [*list(self._began.values())[1:], last]
        return {
            layer.name.lower(): round(1000 * (end - began))
            for (layer, began), end in zip(self._began.items(), ends, strict=True)
        }

    def _enter(self, layer: Layer) -> float:
        """Begin a layer; return its deadline."""
        self.layer = layer
        self._on_layer(layer)
        now = self._began[layer] = self._monotonic()
        return min(now + self._pacs.probe_timeout_s, self._end)

    def _resolve(self) -> list[tuple[socket.AddressFamily, tuple[object, ...]]]:
        self._enter(Layer.NAME)
        try:
            found = socket.getaddrinfo(self._pacs.host, self._pacs.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as exc:
            words = "its name has no address; set pacs.host to an address"
            raise _Found(Condition.UNREACHABLE, words) from exc
        return [(family, address) for family, _, _, _, address in found]

    def _connect(
        self, addresses: list[tuple[socket.AddressFamily, tuple[object, ...]]]
    ) -> socket.socket:
        deadline = self._enter(Layer.CONNECT)
        failure: OSError = TimeoutError()
        for tried, (family, address) in enumerate(addresses):
            connection = socket.socket(family, socket.SOCK_STREAM)
            # one address that swallows everything leaves time for the next
            share_s = (deadline - self._monotonic()) / (len(addresses) - tried)
            try:
                connection.settimeout(max(0.001, share_s))
                connection.connect(address)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as exc:
                connection.close()
                failure = exc
            else:
                return connection
        raise _connect_failure(failure, self._pacs.port) from failure

    def _encrypt(self, connection: socket.socket) -> socket.socket:
        """Begin TLS where it is wanted."""
        try:
            tls = tls_to(self._pacs)
        except BadSettings as error:
            connection.close()
            raise _Found(Condition.REFUSING, str(error)) from error
        if tls is None:
            return connection
        deadline = self._enter(Layer.ASSOCIATION)
        connection.settimeout(max(0.001, deadline - self._monotonic()))
        try:
            with _judged(self.layer, "it closes the connection when TLS begins"):
                return self._shake_hands(connection, tls)
        except _Found:
            connection.close()
            raise

    def _shake_hands(self, connection: socket.socket, tls: ssl.SSLContext) -> ssl.SSLSocket:
        try:
            return tls.wrap_socket(connection, server_hostname=self._pacs.tls_name or None)
        except ssl.SSLError as error:
            raise _Found(Condition.REFUSING, handshake_words(error)) from error

    def _associate(self, association: ProbeAssociation) -> set[str]:
        deadline = self._enter(Layer.ASSOCIATION)
        wanted = [_VERIFICATION]
        wanted += [_STUDY_ROOT_FIND] if self._pacs.probe_find else []
        wanted += [self._trial.sop_class_uid] if self._trial else []
        try:
            with _judged(self.layer, _CLOSED_WORDS[bool(self._pacs.tls_ca)]):
                return association.request(
                    self._our_ae_title, self._pacs.ae_title, wanted, deadline
                )
        except Rejected as rejection:
            raise _rejection(rejection, self._our_ae_title, self._pacs.ae_title) from rejection

    def _echo(self, association: ProbeAssociation, accepted: set[str]) -> None:
        deadline = self._enter(Layer.ECHO)
        if _VERIFICATION not in accepted:
            raise _Found(Condition.REFUSING, "it takes associations but not C-ECHO")
        make = functools.partial(write_request, C_ECHO_RQ, sop_class_uid=_VERIFICATION)
        with _judged(self.layer, "it closed the connection when it was sent C-ECHO"):
            answer = association.ask(_VERIFICATION, make, b"", deadline)
        if answer.status != 0:
            words = f"it answered C-ECHO with status {answer.status:04X}"
            raise _Found(Condition.REFUSING, words)

    def _find(self, association: ProbeAssociation, accepted: set[str]) -> None:
        """Ask for a study nobody has: its database must answer, and has nothing to send."""
        if _STUDY_ROOT_FIND not in accepted:
            return
        deadline = self._enter(Layer.FIND)
        identifier = Dataset()
        identifier.QueryRetrieveLevel, identifier.StudyInstanceUID = "STUDY", _NOBODYS_STUDY
        make = functools.partial(
            write_request, C_FIND_RQ, sop_class_uid=_STUDY_ROOT_FIND, has_data_set=True
        )
        with _judged(self.layer, "it closed the connection when it was asked what it has"):
            answer = association.ask(_STUDY_ROOT_FIND, make, encoded(identifier), deadline)
        if answer.status != 0:
            words = f"it answers C-ECHO but refuses queries: {answer.status:04X}"
            raise _Found(Condition.REFUSING, words)

    def _store(self, association: ProbeAssociation, accepted: set[str], trial: TrialObject) -> None:
        deadline = self._enter(Layer.STORE)
        if trial.sop_class_uid not in accepted:
            raise _Found(Condition.CANNOT_STORE, "it answers C-ECHO but accepts no test image")
        make = functools.partial(
            write_request,
            C_STORE_RQ,
            sop_class_uid=trial.sop_class_uid,
            sop_instance_uid=trial.sop_instance_uid,
            has_data_set=True,
        )
        with _judged(self.layer, "it closed the connection when it was given a test image"):
            answer = association.ask(trial.sop_class_uid, make, trial.dataset, deadline)
        if answer.status != 0 and answer.status >> 12 != 0xB:
            reason = ", out of resources" if answer.status >> 8 == 0xA7 else ""
            words = f"it answers C-ECHO but refuses images: {answer.status:04X}{reason}"
            raise _Found(Condition.CANNOT_STORE, words)


@contextmanager
def _judged(layer: Layer, broken_words: str) -> Iterator[None]:
    """Turn what goes wrong on the wire into what it says about the PACS."""
    try:
        yield
    except TimeoutError as error:
        raise _Found(Condition.FROZEN, SILENT_WORDS[layer]) from error
    except BadDataset as error:
        words = "what answers on its port does not speak DICOM"
        raise _Found(Condition.REFUSING, words) from error
    except OSError as error:
        is_storing = layer is Layer.STORE
        condition = Condition.CANNOT_STORE if is_storing else Condition.REFUSING
        raise _Found(condition, broken_words) from error


def _connect_failure(failure: OSError, port: int) -> _Found:
    if isinstance(failure, ConnectionError):
        words = f"its machine answers, but nobody listens on port {port}"
        return _Found(Condition.REFUSING, words)
    if failure.errno in _NO_WAY:
        return _Found(Condition.UNREACHABLE, "there is no way to it in the network")
    return _Found(Condition.UNREACHABLE, "its machine does not answer")


def _rejection(rejection: Rejected, our_ae_title: str, its_ae_title: str) -> _Found:
    cause = (rejection.source, rejection.reason)
    if rejection.result == _TRANSIENT or rejection.source == _PRESENTATION_SERVICE:
        words = "it rejected the association for now: it has no room for another"
        return _Found(Condition.TRANSIENTLY_FULL, words)
    words = "it rejected the association for good"
    if cause == _UNKNOWN_CALLER:
        words += f": it does not know us as {our_ae_title}"
    elif cause == _UNKNOWN_CALLED:
        words += f": it does not call itself {its_ae_title}; check pacs.ae_title"
    return _Found(Condition.REFUSING, words)
