"""Wall mode: a screen that is read from three metres and that anybody may walk past."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

from flask import Request, Response

from dicom_node.setting_tables import WebSettings

COOKIE: Final = "lifeboat-wall"
TEN_YEARS_S: Final = 10 * 365 * 86400
LONGEST_THEATRE: Final = 64
SHORTEST_SEARCH: Final = 3
"""Letters a search needs before it looks for parts of words."""


@dataclass(frozen=True, slots=True)
class Wall:
    """Whether a screen is a wall, and of which theatre ("" for none)."""

    is_wall: bool = False
    theatre: str = ""


def wall_of(settings: WebSettings, asked: Request) -> Wall:
    """Return how the screen that asks is used: what the node is set to, else what it was told.

    Parameters
    ----------
    settings : WebSettings
        Table `[web]`.
    asked : flask.Request
        Its address may say `wall=1&theatre=NAME` or `wall=0`; its cookie remembers that.

    Returns
    -------
    Wall
    """
    if settings.theatre:
        return Wall(is_wall=True, theatre=settings.theatre)
    if "wall" in asked.args:
        is_wall = asked.args["wall"] not in ("", "0")
        return Wall(is_wall, asked.args.get("theatre", "")[:LONGEST_THEATRE] if is_wall else "")
    flag, _, theatre = asked.cookies.get(COOKIE, "").partition(":")
    return Wall(flag == "1", unquote(theatre)[:LONGEST_THEATRE] if flag == "1" else "")


def remember(answer: Response, wall: Wall, asked: Request) -> Response:
    """Have the browser remember what its address said of the wall.

    Parameters
    ----------
    answer : flask.Response
        The page.
    wall : Wall
        What the address said.
    asked : flask.Request
        The request.

    Returns
    -------
    flask.Response
        The same answer.
    """
    if "wall" not in asked.args:
        return answer
    if wall.is_wall:
        value = f"1:{quote(wall.theatre, safe='')}"
        answer.set_cookie(COOKIE, value, TEN_YEARS_S, httponly=True, samesite="Strict")
    else:
        answer.delete_cookie(COOKIE, httponly=True, samesite="Strict")
    return answer


def is_enough(text: str) -> bool:
    """Tell whether a text is long enough to look for it anywhere in a name.

    A name in another script than Latin may be of one letter.

    Parameters
    ----------
    text : str
        What was typed; wildcards do not count.

    Returns
    -------
    bool
    """
    letters = "".join(character for character in text if character.isalnum())
    return len(letters) >= (SHORTEST_SEARCH if letters.isascii() else 1)
