"""What form of an answer a client accepts: the Accept header and the `accept` parameter."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.request import parse_http_list

from werkzeug.http import parse_options_header

from web.errors import BadParameter

ANY_SYNTAX = "*"


@dataclass(frozen=True, slots=True)
class Accepted:
    """One form a client accepts, as PS3.18 section 8.7.3 writes them.

    `media_type` is of the whole answer, `part_type` of the parts of a multipart one, and
    `transfer_syntax_uid` is "" when not named and "*" for any.
    """

    media_type: str
    part_type: str
    transfer_syntax_uid: str
    quality: float

    def takes(self, media_type: str) -> bool:
        """Return whether a single answer of this media type is accepted.

        Parameters
        ----------
        media_type : str
            As in `image/jpeg`.

        Returns
        -------
        bool
        """
        return fits(self.media_type, media_type)

    def takes_parts(self, part_type: str) -> bool:
        """Return whether a multipart answer with parts of this media type is accepted.

        Parameters
        ----------
        part_type : str
            As in `application/dicom`.

        Returns
        -------
        bool
        """
        if self.media_type == "multipart/related":
            return fits(self.part_type or "*/*", part_type)
        return self.media_type in ("*/*", "multipart/*")


def fits(pattern: str, media_type: str) -> bool:
    """Return whether a media type falls under a media range such as `image/*`.

    Parameters
    ----------
    pattern : str
        The range.
    media_type : str
        The type.

    Returns
    -------
    bool
    """
    if pattern == "*/*" or pattern == media_type:
        return True
    kind, _, rest = pattern.partition("/")
    return rest == "*" and media_type.startswith(f"{kind}/")


def accepted_forms(header: str, parameters: Iterable[str] = ()) -> list[Accepted]:
    """Return what a client accepts, best first.

    Parameters
    ----------
    header : str
        The Accept header; empty accepts everything.
    parameters : iterable of str
        Values of the `accept` query parameter; they count before the header (PS3.18 8.3.3.1).

    Returns
    -------
    list of Accepted
        Without those of quality 0.

    Raises
    ------
    BadParameter
        A quality is not a number.
    """
    text = ", ".join(filter(None, parameters)) or header or "*/*"
    forms = [_form(item) for item in parse_http_list(text)]
    wanted = [form for form in forms if form.quality > 0]
    return sorted(wanted, key=lambda form: -form.quality)


def _form(item: str) -> Accepted:
    media_type, options = parse_options_header(item)
    try:
        quality = float(options.get("q", "1"))
    except ValueError:
        raise BadParameter("A quality (q=) of the accepted media types is not a number.") from None
    return Accepted(
        media_type=media_type.lower(),
        part_type=options.get("type", "").lower(),
        transfer_syntax_uid=options.get("transfer-syntax", ""),
        quality=quality,
    )
