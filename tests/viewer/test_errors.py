"""Errors have stable codes."""

from viewer.errors import (
    BadRequest,
    NoSuchFrame,
    UnreadableFile,
    UnsupportedPixels,
    UnsupportedTransferSyntax,
    ViewerError,
)

CODES = {
    UnreadableFile: "unreadable-file",
    UnsupportedTransferSyntax: "unsupported-transfer-syntax",
    UnsupportedPixels: "unsupported-pixels",
    NoSuchFrame: "no-such-frame",
    BadRequest: "bad-render-request",
}


def test_every_error_of_the_room_has_its_own_stable_code() -> None:
    assert set(ViewerError.__subclasses__()) == set(CODES)
    assert {kind: kind.code for kind in CODES} == CODES
