"""Small things answers share: cache rules for what never changes, checks of dates."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from flask import Response, request
from flask.typing import ResponseReturnValue

from dicom_node.index import InstanceRecord
from web.errors import BadParameter, NotFound
from web.program import program_version

KEPT: Final = "private, max-age=28800, immutable"
"""For a shift: an address names the bytes, and the version of the program that drew them."""
ASK_AGAIN: Final = "private, no-cache"
SHORTEST_DIGEST: Final = 16
"""Hexadecimal digits of a digest that name one content and no other."""
_DATE_RANGE: Final = re.compile(r"(\d{8})?(-(\d{8})?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class InstanceAnswer:
    """The bytes that a request about one instance is answered with, and what is said of them.

    `size_bytes` is the length of all chunks; `variant` is what else the bytes depend on, beside
    the address; `headers` are those beside type, length and cache rule.
    """

    record: InstanceRecord
    content_type: str
    chunks: Iterable[bytes]
    size_bytes: int
    variant: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    def all_headers(self, asked_version: str) -> list[tuple[str, str]]:
        """Return every header of the answer but those of security.

        Parameters
        ----------
        asked_version : str
            The `v` parameter of the address, "" when it has none.

        Returns
        -------
        list of tuple

        Raises
        ------
        NotFound
            As `cache_rule`.
        """
        return [
            ("Content-Type", self.content_type),
            ("Content-Length", str(self.size_bytes)),
            *self.headers,
            ("Cache-Control", cache_rule(self.record, asked_version)),
            ("ETag", f'"{entity_tag(self.record, self.variant)}"'),
        ]


def given(answer: InstanceAnswer) -> ResponseReturnValue:
    """Return an answer to the request that is worked on, 304 when the client has it.

    Parameters
    ----------
    answer : InstanceAnswer
        The answer.

    Returns
    -------
    Response

    Raises
    ------
    NotFound
        As `cache_rule`.
    """
    headers = answer.all_headers(request.args.get("v", ""))
    return Response(answer.chunks, headers=headers).make_conditional(request)


def held(
    record: InstanceRecord, variants: Sequence[str], headers: Sequence[tuple[str, str]] = ()
) -> ResponseReturnValue | None:
    """Return 304 when the client says that it has the answer; nothing need be made then.

    Parameters
    ----------
    record : InstanceRecord
        What the answer would be made from.
    variants : sequence of str
        What else its bytes may depend on, each of which this client can read.
    headers : sequence of tuple
        What the answer would also say.

    Returns
    -------
    Response or None
        None when the answer must be made.

    Raises
    ------
    NotFound
        As `cache_rule`.
    """
    for variant in variants:
        if request.if_none_match.contains_weak(entity_tag(record, variant)):
            return of_instance(Response(headers=list(headers)), record, variant=variant)
    return None


def of_instance(
    answer: Response, record: InstanceRecord, *, variant: str = ""
) -> ResponseReturnValue:
    """Give an answer made from one instance its ETag and cache rule.

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
        As `cache_rule`.
    """
    answer.headers["Cache-Control"] = cache_rule(record, request.args.get("v", ""))
    answer.set_etag(entity_tag(record, variant))
    return answer.make_conditional(request)


def cache_rule(record: InstanceRecord, asked_version: str) -> str:
    """Return how long an answer made from one instance may be kept, and by whom.

    An address that names digest and program (`?v=DIGEST-PROGRAM`) can never mean other bytes and
    is kept for some hours; any other is asked again each time. Nothing is ever kept by a shared
    cache.

    Parameters
    ----------
    record : InstanceRecord
        The instance.
    asked_version : str
        The `v` parameter of the address, "" when it has none.

    Returns
    -------
    str
        A Cache-Control header.

    Raises
    ------
    NotFound
        The address names another digest than the instance has.
    """
    if not asked_version:
        return ASK_AGAIN
    digest, _, program = asked_version.partition("-")
    if len(digest) < SHORTEST_DIGEST or not record.digest.startswith(digest):
        raise NotFound("This node does not hold that version of the instance.")
    return KEPT if program == program_version() else ASK_AGAIN


def asked_version(record: InstanceRecord) -> str:
    """Return what an address names of an instance for its answer to be kept.

    Parameters
    ----------
    record : InstanceRecord

    Returns
    -------
    str
        The `v` parameter, as `drawn` of static/js/page.js makes it.
    """
    return f"{record.digest[:SHORTEST_DIGEST]}-{program_version()}"


def entity_tag(record: InstanceRecord, variant: str) -> str:
    """Return the tag of an answer, without quotes.

    Parameters
    ----------
    record : InstanceRecord
        What it was made from.
    variant : str
        What else its bytes depend on, beside the address.

    Returns
    -------
    str
    """
    return "-".join(filter(None, (record.digest[:32], program_version(), variant)))


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
