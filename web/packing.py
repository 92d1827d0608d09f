"""Pages and JSON travel packed."""

from typing import Final

from flask import Flask, Response, request
from isal import isal_zlib

GZIP_WINDOW_BITS: Final = 31
WORTH_PACKING_BYTES: Final = 1400
"""Less fits into one packet anyhow."""
_LEVEL: Final = 2
_KINDS: Final = frozenset(("text/html", "application/json", "application/dicom+json"))


def install(app: Flask) -> None:
    """Pack the answers of an application that are text, for clients that take gzip.

    Parameters
    ----------
    app : Flask
        The application.
    """
    app.after_request(packed)


def packed(answer: Response) -> Response:
    """Return an answer in gzip where that is worth it.

    Parameters
    ----------
    answer : Response
        Any answer to the request that is worked on.

    Returns
    -------
    Response
        The same one.
    """
    is_meant = answer.mimetype in _KINDS and not answer.is_streamed and answer.status_code != 304
    if not is_meant or "Content-Encoding" in answer.headers:
        return answer
    answer.vary.add("Accept-Encoding")
    body = answer.get_data()
    takes_gzip = request.accept_encodings.quality("gzip") > 0
    if not takes_gzip or len(body) < WORTH_PACKING_BYTES or answer.status_code != 200:
        return answer
    answer.set_data(isal_zlib.compress(body, _LEVEL, wbits=GZIP_WINDOW_BITS))
    answer.headers["Content-Encoding"] = "gzip"
    etag, is_weak = answer.get_etag()
    if etag and not is_weak:
        answer.set_etag(etag, weak=True)  # the same content in other bytes
    return answer
