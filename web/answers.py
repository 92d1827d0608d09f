"""Small things answers share: cache rules for what never changes, checks of dates."""

import re
from typing import Final

from flask import Response, request
from flask.typing import ResponseReturnValue

from dicom_node.index import InstanceRecord
from web.errors import BadParameter, NotFound

FOR_EVER: Final = "private, max-age=31536000, immutable"
ASK_AGAIN: Final = "private, no-cache"
SHORTEST_DIGEST: Final = 16
"""Hexadecimal digits of a digest that name one content and no other."""
_DATE_RANGE: Final = re.compile(r"(\d{8})?(-(\d{8})?)?", re.ASCII)


def of_instance(
    answer: Response, record: InstanceRecord, *, variant: str = ""
) -> ResponseReturnValue:
    """Give an answer made from one instance its ETag and cache rule.

    An address that names the digest (`?v=`) can never mean other bytes and is kept for ever; one
    without is asked again each time. Nothing is ever kept by a shared cache.

    Parameters
    ----------
    answer : Response
        The answer.
    record : InstanceRecord
        What it was made from.
    variant : str
        What else its bytes depend on, beside the address.

    Returns
    -------
    Response
        The answer, or 304 when the client has it.

    Raises
    ------
    NotFound
        The address names another digest than the instance has.
    """
    asked = request.args.get("v", "")
    if asked and not (len(asked) >= SHORTEST_DIGEST and record.digest.startswith(asked)):
        raise NotFound("This node does not hold that version of the instance.")
    answer.headers["Cache-Control"] = FOR_EVER if asked else ASK_AGAIN
    answer.set_etag("-".join(filter(None, (record.digest[:32], variant))))
    return answer.make_conditional(request)


def check_date_range(value: str, name: str) -> None:
    """Refuse what is neither empty, YYYYMMDD, nor a range of them.

    Parameters
    ----------
    value : str
        The value.
    name : str
        What it is called in the request.

    Raises
    ------
    BadParameter
        It is something else.
    """
    if not _DATE_RANGE.fullmatch(value) or value == "-":
        raise BadParameter(f"{name} must be YYYYMMDD or a range such as 20170401-20170412.")
