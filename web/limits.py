"""How much one web process does at the same time, whatever its clients do."""

import threading
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any, Final

LARGEST_BODY_BYTES: Final = 1024 * 1024
"""Largest body of a request; more is refused."""

_Environ = dict[str, Any]
_Start = Callable[..., Any]
WsgiApp = Callable[[_Environ, _Start], Iterable[bytes]]


class BoundedWork:
    """Lets many clients be slow, but only a few requests be worked on at once.

    A client that sends its body byte by byte occupies a thread, which is cheap, and none of the
    places where frames are decoded.

    Parameters
    ----------
    app : callable
        The WSGI application.
    places : int
        Requests worked on at the same time.
    """

    def __init__(self, app: WsgiApp, places: int) -> None:
        self._app = app
        self._places = threading.BoundedSemaphore(places)

    def __call__(self, environ: _Environ, start_response: _Start) -> Iterable[bytes]:
        """Read the request's body, wait for a place, answer.

        Parameters
        ----------
        environ : dict
            The request (PEP 3333).
        start_response : callable
            Takes status and headers.

        Returns
        -------
        iterable of bytes
        """
        if environ["REQUEST_METHOD"] == "POST" and not is_too_large(environ):
            body = environ["wsgi.input"].read(LARGEST_BODY_BYTES + 1)
            environ["wsgi.input"] = BytesIO(body)
        with self._places:
            return self._app(environ, start_response)


def is_too_large(environ: _Environ) -> bool:
    """Return whether a request announces a body that will be refused unread.

    Parameters
    ----------
    environ : dict
        The request (PEP 3333).

    Returns
    -------
    bool
    """
    length = str(environ.get("CONTENT_LENGTH") or "0")
    return length.isdecimal() and int(length) > LARGEST_BODY_BYTES
