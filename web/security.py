"""Who may ask and what every answer says about itself: host, origin, method, headers."""

from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from flask import Flask, Request, Response, request

from web.errors import ForeignHost, ForeignOrigin, MethodNotAllowed

METHODS: Final = ("GET", "HEAD", "POST")
_HOSTS_KEPT: Final = 16
LOCAL_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "::1"})

_POLICY: Final = (
    "default-src 'self'; {}img-src 'self' blob:{}; base-uri 'none'; object-src 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
POLICY: Final = "Content-Security-Policy"

HEADERS: Final = {
    POLICY: _POLICY.format("", ""),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def holding_pictures(styles: str, script: str) -> dict[str, str]:
    """Return the policy of a page that has pictures, styles and one script in itself.

    Parameters
    ----------
    styles, script : str
        Their digests as a policy names them; nothing else that stands in the page is taken.

    Returns
    -------
    dict
        A header.
    """
    own = f"style-src 'self' {styles}; script-src 'self' {script}; "
    return {POLICY: _POLICY.format(own, " data:")}


def install(app: Flask, host: str) -> None:
    """Guard every request of an application and stamp every answer.

    Parameters
    ----------
    app : Flask
        The application.
    host : str
        The configured host, allowed in the Host header beside this machine's own names.
    """
    hosts = LOCAL_HOSTS | {host.lower()}

    @app.before_request
    def guard() -> None:
        check_host(request.headers.get("Host", ""), hosts)
        check_method(request)
        check_origin(request)

    app.after_request(stamp)


def check_host(authority: str, hosts: frozenset[str]) -> None:
    """Refuse a request whose Host header is not this node: a page elsewhere rebound a name to us.

    Parameters
    ----------
    authority : str
        The Host header, "" when absent.
    hosts : frozenset of str
        Names that are ours, without port.

    Raises
    ------
    ForeignHost
        The name is not among them.
    """
    if host_name(authority) not in hosts:
        raise ForeignHost("This node does not answer under that host name. Use its own address.")


@lru_cache(maxsize=_HOSTS_KEPT)
def host_name(authority: str) -> str:
    """Return the host of a Host header without its port, in lower case; "" when malformed.

    Parameters
    ----------
    authority : str
        As in `127.0.0.1:8080` or `[::1]:8080`.

    Returns
    -------
    str
    """
    try:
        parts = urlsplit(f"//{authority}")
        malformed = parts.netloc != authority or parts.username is not None or parts.port == 0
        return "" if malformed else (parts.hostname or "")
    except ValueError:
        return ""


def check_method(asked: Request) -> None:
    """Refuse every method that is not for reading or asking; there is nothing to delete here.

    Parameters
    ----------
    asked : Request
        The request.

    Raises
    ------
    ForeignOrigin
        A browser asks whether another site's page may call us: it may not.
    MethodNotAllowed
        Anything but GET, HEAD and POST.
    """
    if asked.method == "OPTIONS" and "Origin" in asked.headers:
        raise ForeignOrigin("Pages of other sites may not use this node.")
    if asked.method not in METHODS:
        raise MethodNotAllowed("This node offers GET, HEAD and POST. Nothing can be deleted here.")


def check_origin(asked: Request) -> None:
    """Refuse a POST that a page of another site makes the browser send.

    Browsers name the page's origin on every POST made by `fetch`; programs need not.

    Parameters
    ----------
    asked : Request
        The request.

    Raises
    ------
    ForeignOrigin
        Origin or Sec-Fetch-Site tells of another site.
    """
    if asked.method != "POST":
        return
    origin = asked.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc.lower() != asked.host.lower():
        raise ForeignOrigin("Only pages of this node may send this request.")
    if asked.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise ForeignOrigin("Only pages of this node may send this request.")


def stamp(answer: Response) -> Response:
    """Put the security headers on an answer; what names no cache rule is never kept.

    Parameters
    ----------
    answer : Response
        Any answer.

    Returns
    -------
    Response
        The same one.
    """
    for name, value in HEADERS.items():
        answer.headers.setdefault(name, value)
    answer.headers.setdefault("Cache-Control", "no-store")
    return answer
