"""TLS to a PACS, with the certificates of the settings: never in the clear instead."""

import socket
import ssl
from collections.abc import Sequence
from typing import Final

from dicom_node.certificate import CIPHERS, no_password
from dicom_node.errors import BadSettings
from dicom_node.setting_tables import PacsSettings

_RECORD_BYTES: Final = 1 << 14
"""What one TLS record holds, at most (RFC 8446 5.1)."""
_NOT_YET_VALID, _HAS_ENDED, _OTHER_NAME, _OTHER_ADDRESS = 9, 10, 62, 64
_OF_CERTIFICATE: Final = {
    _NOT_YET_VALID: "its certificate is not valid yet; look at both clocks",
    _HAS_ENDED: "its certificate has ended",
    _OTHER_NAME: "its certificate bears another name than pacs.tls_name",
    _OTHER_ADDRESS: "its certificate bears another name than pacs.tls_name",
}
_OURS_REFUSED: Final = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED", "HANDSHAKE_FAILURE")
_NO_TLS: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNEXPECTED_EOF", "RECORD_LAYER_FAILURE")


def tls_to(pacs: PacsSettings) -> ssl.SSLContext | None:
    """Return how to speak with a PACS; None where it is to be in the clear.

    Parameters
    ----------
    pacs : PacsSettings

    Returns
    -------
    ssl.SSLContext or None
        TLS 1.3, or 1.2 with the ciphers of BCP 195 (PS3.15 B.12).

    Raises
    ------
    BadSettings
        A file cannot be read, or key and certificate do not belong together.
    """
    if not pacs.tls_ca:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    # archives are called by address, and their certificates seldom bear one
    context.check_hostname = bool(pacs.tls_name)
    try:
        context.load_verify_locations(pacs.tls_ca)
        if pacs.tls_certificate:
            key = pacs.tls_private_key or None
            context.load_cert_chain(pacs.tls_certificate, key, password=no_password)
    except (OSError, ValueError) as exc:  # an SSLError is an OSError
        words = f"the files of pacs.{pacs.name}.tls_* cannot be read, or do not fit"
        raise BadSettings(f"{words}; nothing is sent") from exc
    return context


def handshake_words(error: ssl.SSLError) -> str:
    """Say for people why a PACS and we do not come to TLS.

    Parameters
    ----------
    error : ssl.SSLError

    Returns
    -------
    str
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        other = "its certificate comes from none of the CAs in pacs.tls_ca"
        return _OF_CERTIFICATE.get(error.verify_code, other)
    reason = (error.reason or str(error)).upper()
    if any(word in reason for word in _NO_TLS) or isinstance(error, ssl.SSLEOFError):
        return "it does not speak TLS on this port; it is not spoken to in the clear instead"
    if any(word in reason for word in _OURS_REFUSED):
        return "it may not accept our certificate; see pacs.tls_certificate"
    return "TLS with it fails; it is not spoken to in the clear instead"


class EncryptedConnection:
    """A TLS connection with the few calls the sender makes on a plain one, and their answers.

    Parameters
    ----------
    held : ssl.SSLSocket
    slice_s : float
        How long one call may block, seconds.
    """

    def __init__(self, held: ssl.SSLSocket, slice_s: float) -> None:
        self._held = held
        self._slice_s = slice_s
        held.settimeout(slice_s)

    def sendmsg(self, buffers: Sequence[bytes | memoryview]) -> int:
        """Send as much as one record holds; return how much.

        Raises
        ------
        BlockingIOError
            Nothing left in time; the next call must begin with the same bytes.
        """
        record = bytearray()
        for buffer in buffers:
            record += buffer[: _RECORD_BYTES - len(record)]
            if len(record) == _RECORD_BYTES:
                break
        try:
            return self._held.send(record)
        except (TimeoutError, ssl.SSLWantReadError, ssl.SSLWantWriteError) as exc:
            raise BlockingIOError from exc

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Receive what there is, with `socket.MSG_DONTWAIT` without waiting.

        Raises
        ------
        BlockingIOError
            There is nothing, or only what TLS says for itself.
        """
        self._held.settimeout(0 if flags & socket.MSG_DONTWAIT else self._slice_s)
        try:
            return self._held.recv(size)
        except (TimeoutError, ssl.SSLWantReadError, ssl.SSLWantWriteError) as exc:
            raise BlockingIOError from exc
        finally:
            self._held.settimeout(self._slice_s)

    def setsockopt(self, level: int, name: int, value: int | bytes) -> None:
        """Set an option of the connection under it."""
        self._held.setsockopt(level, name, value)

    def fileno(self) -> int:
        """Return the descriptor of the connection under it."""
        return self._held.fileno()
