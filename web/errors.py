"""What the web room refuses on purpose; the translation to HTTP is the table in `web.app`."""

from typing import ClassVar


class WebError(Exception):
    """Base of everything the web room raises on purpose.

    A message is shown to whoever asked: it holds no patient data, no path, no foreign error text.
    """

    code: ClassVar[str] = "web-error"


class BadParameter(WebError):
    """A parameter of the request cannot be understood or is out of range."""

    code = "bad-parameter"


class NotFound(WebError):
    """What was asked for is not held by this node."""

    code = "not-found"


class OutOfDate(WebError):
    """What the request decides on has changed since it was looked at."""

    code = "out-of-date"


class NotAcceptable(WebError):
    """What was asked for exists, but not in a form the client accepts."""

    code = "not-acceptable"


class WrongContentType(WebError):
    """The request's body is not of the one type the address takes."""

    code = "wrong-content-type"


class ChangedMeanwhile(WebError):
    """What the request would change was changed by someone else first."""

    code = "changed-meanwhile"


class MeasuringOff(WebError):
    """The settings of this node switch measuring off."""

    code = "measuring-off"


class ForeignHost(WebError):
    """The request names a host that is not this node (DNS rebinding)."""

    code = "foreign-host"


class ForeignOrigin(WebError):
    """The request comes from another site's page."""

    code = "foreign-origin"


class MethodNotAllowed(WebError):
    """The method is not offered anywhere on this node; nothing can be changed or deleted."""

    code = "method-not-allowed"
