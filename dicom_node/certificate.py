"""Our own certificate: what TLS offers with it, and how long it is still good."""

import logging
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from dicom_node.clock import Clock, utc_now
from dicom_node.errors import BadSettings
from dicom_node.setting_tables import TlsSettings

_log = logging.getLogger(__name__)

WARN_DAYS: Final = (60, 30, 7)
"""Days before the end at which the log says so; status and check warn from the first on."""
CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM"
"""What BCP 195 leaves of TLS 1.2; TLS 1.3 has its own."""
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_UTC_TIME, _VERSION = 0x17, 0xA0


@dataclass(frozen=True, slots=True)
class CertificateState:
    """What to say of our certificate; `outcome` is `ok`, `warning` or `failed`."""

    outcome: str
    words: str
    days_left: int | None
    not_after: str


class Certificate:
    """The certificate a TLS port offers, read anew when its files change.

    Parameters
    ----------
    tls : TlsSettings
    clock : Clock
    """

    def __init__(self, tls: TlsSettings, clock: Clock = utc_now) -> None:
        self._tls = tls
        self._clock = clock
        self._seen: object = None
        self._warned_at: int | None = None

    def renewed(self) -> ssl.SSLContext | None:
        """Return what to serve TLS with, if the files changed since the last call and are good."""
        seen = _marks(self._tls)
        if seen == self._seen:
            return None
        self._seen = seen
        try:
            return tls_context(self._tls)
        except BadSettings:
            _log.exception("certificate_unusable")
            return None

    def warn(self) -> None:
        """Log, once for each of `WARN_DAYS` and once at the end, that it runs out."""
        state = certificate_state(self._tls, self._clock())
        if state is None or state.days_left is None:
            return
        reached = min((days for days in (*WARN_DAYS, -1) if state.days_left <= days), default=None)
        if reached != self._warned_at:
            self._warned_at = reached
            if reached is not None:
                _log.warning("certificate_runs_out", extra={"count": state.days_left})


def tls_context(tls: TlsSettings) -> ssl.SSLContext:
    """Return what the TLS port offers: TLS 1.3, or 1.2 with the ciphers of BCP 195 (PS3.15 B.12).

    Parameters
    ----------
    tls : TlsSettings

    Returns
    -------
    ssl.SSLContext

    Raises
    ------
    BadSettings
        A file cannot be read, or key and certificate do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    try:
        context.load_cert_chain(tls.certificate, tls.private_key or None, password=no_password)
        if tls.ca:
            context.load_verify_locations(tls.ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ValueError) as exc:  # an SSLError is an OSError
        raise BadSettings("the files of [tls] cannot be used; lifeboat check says more") from exc
    return context


def certificate_state(tls: TlsSettings, now: datetime) -> CertificateState | None:
    """Return how our certificate stands; None when there is to be no TLS port.

    Parameters
    ----------
    tls : TlsSettings
    now : datetime

    Returns
    -------
    CertificateState or None
    """
    if not tls.is_wanted:
        return None
    try:
        tls_context(tls)
        end = read_not_after(Path(tls.certificate))
    except BadSettings:
        words = "certificate, key or CA cannot be read, or do not fit: there is no TLS port"
        return CertificateState("failed", words, None, "")
    days = (end - now).days
    if days < 0:
        words = f"the certificate ended {-days} days ago: scanners may refuse it"
        return CertificateState("failed", words, days, end.isoformat())
    outcome = "warning" if days <= WARN_DAYS[0] else "ok"
    return CertificateState(outcome, f"the certificate ends in {days} days", days, end.isoformat())


def read_not_after(certificate: Path) -> datetime:
    """Read when a certificate ends (RFC 5280 4.1.2.5); of a chain, when the first one does.

    Raises
    ------
    BadSettings
        The file is no certificate in PEM.
    """
    try:
        text = certificate.read_text("ascii", "replace")
        start = text.index(_BEGIN)
        der = ssl.PEM_cert_to_DER_cert(text[start : text.index(_END, start) + len(_END)])
        return _not_after(der)
    except (OSError, ValueError, IndexError, StopIteration) as exc:
        raise BadSettings(f"{certificate} is no certificate that can be read") from exc


def _not_after(der: bytes) -> datetime:
    (_, certificate), *_ = _elements(der)
    (_, to_be_signed), *_ = _elements(certificate)
    fields = [value for tag, value in _elements(to_be_signed) if tag != _VERSION]
    _, _, _, validity, *_ = fields  # serial number, signature algorithm, issuer, validity
    _, (tag, value) = _elements(validity)
    text = value.decode("ascii")
    if tag == _UTC_TIME:
        text = ("20" if text < "50" else "19") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of the DER elements that follow each other."""
    at = 0
    while at < len(data):
        tag, length, at = data[at], data[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(data[at : at + size]), at + size
        yield tag, data[at : at + length]
        at += length


def _marks(tls: TlsSettings) -> list[tuple[int, int] | None]:
    """Return what changes when one of the files does."""
    return [_mark(name) for name in (tls.certificate, tls.private_key, tls.ca)]


def _mark(name: str) -> tuple[int, int] | None:
    try:
        status = Path(name).stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino


def no_password() -> str:
    """Refuse a private key that asks for a password: nobody is there to give one."""
    raise ValueError("the private key has a password")
