"""The JSON object a request carries, checked before anything is done with it."""

from collections.abc import Mapping
from typing import Any

from flask import request

from web.errors import BadParameter, WrongContentType


def json_object() -> dict[str, Any]:
    """Return the request's JSON object.

    Returns
    -------
    dict

    Raises
    ------
    WrongContentType
        The body is compressed or not `application/json`.
    BadParameter
        It is not a JSON object.
    """
    if request.mimetype != "application/json" or request.headers.get("Content-Encoding"):
        raise WrongContentType("Send the body as plain application/json.")
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise BadParameter("The body must be a JSON object.")
    return body


def read(wanted: Mapping[str, type]) -> dict[str, Any]:
    """Return a request's JSON object that must have exactly these keys.

    Parameters
    ----------
    wanted : mapping
        Key to the type of its value.

    Returns
    -------
    dict

    Raises
    ------
    WrongContentType
        As `json_object`.
    BadParameter
        It is not a JSON object, lacks a key, has another one or a value of another type.
    """
    body = json_object()
    if set(body) != set(wanted):
        raise BadParameter(f"The body must be a JSON object with {', '.join(wanted)}.")
    for key, kind in wanted.items():
        if type(body[key]) is not kind:
            raise BadParameter(f"{key} has the wrong type.")
    return body
