"""The page that shows what a display makes of known grey levels."""

import io
import re
from typing import Final

from flask import Blueprint, Response, render_template, request
from PIL import Image

from viewer.test_pattern import LARGEST_PX, SMALLEST_PX, pattern
from web.context import current
from web.errors import BadParameter
from web.pages import shared

blueprint = Blueprint("display_check", __name__)

SIZES: Final = ((1280, 720), (1920, 1080), (3840, 2160))
"""Width and height of the patterns that can be chosen, pixels."""


@blueprint.get("/display")
def page() -> str:
    """Show the pattern, and say what should be seen."""
    width, height = read_size(request.args.get("size", ""))
    return render_template(
        "display.html", page="display", width=width, height=height, sizes=SIZES, **shared(current())
    )


@blueprint.get("/display/pattern.png")
def picture() -> Response:
    """Answer with the pattern, lossless."""
    encoded = io.BytesIO()
    Image.fromarray(pattern(*read_size(request.args.get("size", "")))).save(encoded, "PNG")
    answer = Response(encoded.getvalue(), mimetype="image/png")
    answer.headers["Cache-Control"] = "private, max-age=3600"
    return answer


def read_size(text: str) -> tuple[int, int]:
    """Return the size of a `size=WIDTHxHEIGHT` parameter.

    Parameters
    ----------
    text : str
        The value; "" for the smallest that can be chosen.

    Returns
    -------
    tuple of int
        Width and height in pixels.

    Raises
    ------
    BadParameter
        It is of another form or out of range.
    """
    if not text:
        return SIZES[0]
    match = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", text)
    size = (int(match[1]), int(match[2])) if match else (0, 0)
    if not all(SMALLEST_PX <= side <= LARGEST_PX for side in size):
        raise BadParameter(f"size is WIDTHxHEIGHT, each {SMALLEST_PX} to {LARGEST_PX} pixels.")
    return size
