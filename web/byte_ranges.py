"""Answers with a range of a stream, so that a video can be wound and a download resumed."""

from flask import Response, request
from werkzeug.datastructures import Range

from viewer.encapsulated import OCTETS, ByteStream


def ranged(stream: ByteStream, media_type: str, tag: str) -> Response:
    """Answer with a stream, or with the one range of it that is asked for (RFC 9110 section 14).

    Parameters
    ----------
    stream : ByteStream
        The bytes.
    media_type : str
        What they are.
    tag : str
        Their entity tag, with quotes.

    Returns
    -------
    Response
        206 with a part, 416 when there is no such part, otherwise 200 with all of it.
    """
    length = stream.length
    asked = wanted_range(tag)
    part = None if asked is None else asked.range_for_length(length)
    headers = {"Accept-Ranges": "bytes", "ETag": tag}
    if asked is not None and part is None:
        unsatisfied = headers | {"Content-Range": f"bytes */{length}"}
        return Response(status=416, headers=unsatisfied, mimetype=OCTETS)
    start, stop = part or (0, length)
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{length}"
    headers["Content-Length"] = str(stop - start)
    status = 200 if part is None else 206
    return Response(stream.read(start, stop), status, headers, mimetype=media_type)


def wanted_range(tag: str) -> Range | None:
    """Return the range that the request asks for; None for all: also of several at once.

    Parameters
    ----------
    tag : str
        Of what is there now; a range of something else (If-Range) is not given.

    Returns
    -------
    werkzeug.datastructures.Range or None
    """
    asked = request.range
    is_of_other = "If-Range" in request.headers and request.headers["If-Range"] != tag
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1 or is_of_other:
        return None
    return asked
