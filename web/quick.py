"""Pictures and pixels without the framework: what a viewer asks for by the hundred.

Of the time that a small frame takes, more than half would go into routing and request objects. A
request that is plain enough is answered here, by the functions that the application's own routes
call; every other one, and every refusal, is the application's.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from flask import Flask, request
from werkzeug.http import parse_accept_header
from werkzeug.sansio.utils import get_host

from dicom_node.index import InstanceRecord
from web import dicomweb, frames, rendered, security
from web.accept import Accepted, accepted_forms
from web.answers import InstanceAnswer
from web.context import WebContext
from web.limits import WsgiApp
from web.pixel_values import pixel_answer, pixel_form

SENT_AT_ONCE_BYTES: Final = 4 * 1024 * 1024
"""Larger answers are made while they are sent, so that slow clients hold little memory."""
_FAILURE: Final = "lifeboat.failure"
"""Where a refusal waits for the application, which puts it into words."""
_UID: Final = "([0-9.]{1,64})"
_ADDRESS: Final = re.compile(
    f"/(?:dicom-web|(api/v1))/studies/{_UID}/series/{_UID}/instances/{_UID}"
    "(?:/frames/([0-9]{1,9}))?(/rendered|/pixels|)"
)
_QUERY: Final = re.compile("(?:[A-Za-z0-9_.,=&/-]|%2[CcFf])*")
_ENCODED: Final = {"%2C": ",", "%2c": ",", "%2F": "/", "%2f": "/"}
_CONDITIONS: Final = frozenset(
    ("HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_RANGE", "HTTP_RANGE")
)
_LONGEST_TEXT: Final = 512
_HEADERS_KEPT: Final = 256
_HOSTS_KEPT: Final = 16

_Environ = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request: the instance and frame it names, and the parameters of its address."""

    environ: _Environ
    record: InstanceRecord
    frame_number: int
    pairs: list[tuple[str, str]]

    @property
    def parameters(self) -> dict[str, str]:
        return dict(reversed(self.pairs))  # of several values the first counts

    @property
    def forms(self) -> tuple[Accepted, ...]:
        named = tuple(value for name, value in self.pairs if name == "accept")
        return _forms(self.environ.get("HTTP_ACCEPT", ""), named)

    @property
    def takes_gzip(self) -> bool:
        return _takes_gzip(self.environ.get("HTTP_ACCEPT_ENCODING"))


_Make = Callable[[_Asked], InstanceAnswer]


def install(app: Flask, context: WebContext, host: str) -> None:
    """Put the short way in front of an application.

    Parameters
    ----------
    app : Flask
        The application, its guard of hosts already installed.
    context : WebContext
        Its context.
    host : str
        The configured host, allowed in the Host header beside this machine's own names.
    """

    @app.before_request
    def refuse() -> None:
        failure = request.environ.get(_FAILURE)
        if failure is not None:
            raise failure

    quick = QuickPictures(app.wsgi_app, context, host)
    app.wsgi_app = quick  # type: ignore[method-assign]  # Flask's own way for middleware


class QuickPictures:
    """Answers plain requests for frames; passes on all others.

    Parameters
    ----------
    app : callable
        The application.
    context : WebContext
        Its context.
    host : str
        As for `install`.
    """

    def __init__(self, app: WsgiApp, context: WebContext, host: str) -> None:
        self._app = app
        self._context = context
        self._hosts = security.LOCAL_HOSTS | {host.lower()}

    def __call__(self, environ: _Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request.

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
        found = _ADDRESS.fullmatch(environ["PATH_INFO"])
        make = found and self._maker(bool(found[1]), found[5], found[6])
        if not found or not make or not _is_plain(environ):
            return self._app(environ, start_response)
        try:
            answer, version = self._answer(environ, found, make)
            headers = answer.all_headers(version)
        except Exception as error:  # noqa: BLE001 - whatever it is, the application knows the words
            environ[_FAILURE] = error
            return self._app(environ, start_response)
        start_response("200 OK", [*headers, *security.HEADERS.items()])
        # the server sends a list at once, and anything else piece by piece, which takes longer
        return list(answer.chunks) if answer.size_bytes <= SENT_AT_ONCE_BYTES else answer.chunks

    def _maker(self, is_api: bool, frame: str | None, kind: str) -> _Make | None:
        makers = {
            (False, "/rendered"): self._rendered,
            (False, ""): self._stored if frame else None,
            (True, "/pixels"): self._pixels if frame else None,
        }
        return makers.get((is_api, kind))

    def _answer(
        self, environ: _Environ, found: re.Match[str], make: _Make
    ) -> tuple[InstanceAnswer, str]:
        security.check_host(environ.get("HTTP_HOST", ""), self._hosts)
        record = self._context.record(found[2], found[3], found[4])
        pairs = query_pairs(environ.get("QUERY_STRING", ""))
        asked = _Asked(environ, record, int(found[5] or 1), pairs)
        return make(asked), asked.parameters.get("v", "")

    def _rendered(self, asked: _Asked) -> InstanceAnswer:
        how = rendered.rendering_of(asked.parameters, asked.forms)
        return rendered.picture(self._context, asked.record, asked.frame_number, how)

    def _stored(self, asked: _Asked) -> InstanceAnswer:
        instance = self._context.open(asked.record)
        if not 1 <= asked.frame_number <= instance.number_of_frames:
            frames.frame_numbers(str(asked.frame_number), instance)  # it has the words
        form = _form(instance.transfer_syntax_uid, asked.forms)
        base = _base(asked.environ["wsgi.url_scheme"], asked.environ["HTTP_HOST"])
        return dicomweb.frame_answer(asked.record, instance, asked.frame_number, form, base)

    def _pixels(self, asked: _Asked) -> InstanceAnswer:
        form = pixel_form(asked.parameters, takes_gzip=asked.takes_gzip)
        return pixel_answer(self._context, asked.record, asked.frame_number, form)


def _is_plain(environ: _Environ) -> bool:
    """Return whether nothing about a request needs more than its address and what it accepts."""
    query = environ.get("QUERY_STRING", "")
    texts = (environ.get("HTTP_ACCEPT", ""), environ.get("HTTP_ACCEPT_ENCODING", ""), query)
    return (
        environ["REQUEST_METHOD"] == "GET"
        and not environ.get("SCRIPT_NAME")
        and environ.keys().isdisjoint(_CONDITIONS)  # this way round it looks at the fewer
        and max(map(len, texts)) <= _LONGEST_TEXT  # what they say is remembered
        and _QUERY.fullmatch(query) is not None
    )


def query_pairs(query: str) -> list[tuple[str, str]]:
    """Return the parameters of a query that is plain: little is encoded in it, and nothing hidden.

    Parameters
    ----------
    query : str
        As in `window=40%2C400&v=1`.

    Returns
    -------
    list of tuple
        Names and values, as `urllib.parse.parse_qsl` finds them, in a fifth of its time.
    """
    for code, character in _ENCODED.items():
        query = query.replace(code, character)
    named = (part.partition("=") for part in query.split("&") if part)
    return [(name, value) for name, _, value in named]


@lru_cache(maxsize=_HOSTS_KEPT)
def _base(scheme: str, host: str) -> str:
    return f"{scheme}://{get_host(scheme, host)}/dicom-web"


@lru_cache(maxsize=_HEADERS_KEPT)  # a browser sends the same header with every request
def _forms(accept: str, parameters: tuple[str, ...]) -> tuple[Accepted, ...]:
    return tuple(accepted_forms(accept, parameters))


_form = lru_cache(maxsize=_HEADERS_KEPT)(frames.choose)


@lru_cache(maxsize=_HEADERS_KEPT)
def _takes_gzip(accept_encoding: str | None) -> bool:
    return parse_accept_header(accept_encoding).quality("gzip") > 0
