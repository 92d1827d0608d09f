"""Errors have stable codes."""

from viewer.errors import (
    BadRequest,
    DecoderBusy,
    NoSuchFrame,
    UnreadableFile,
    UnsafePixels,
    UnsupportedDocument,
    UnsupportedPixels,
    UnsupportedTransferSyntax,
    ViewerError,
)

CODES = {
    UnreadableFile: "unreadable-file",
    UnsupportedTransferSyntax: "unsupported-transfer-syntax",
    UnsupportedPixels: "unsupported-pixels",
    UnsafePixels: "unsafe-pixels",
    UnsupportedDocument: "unsupported-document",
    DecoderBusy: "decoder-busy",
    NoSuchFrame: "no-such-frame",
    BadRequest: "bad-render-request",
}


def test_every_error_of_the_room_has_its_own_stable_code() -> None:
    assert {*ViewerError.__subclasses__(), *UnsupportedPixels.__subclasses__()} == set(CODES)
    assert {kind: kind.code for kind in CODES} == CODES
