"""What can go wrong between a stored file and a picture, in words a user may read."""

from typing import ClassVar


class ViewerError(Exception):
    """Base of every error this room raises.

    The message is safe to show and to log: it holds neither patient data, nor paths, nor the text
    of another library's exception. It says why the picture cannot be shown and what to do.

    Attributes
    ----------
    code : str
        Stable kebab-case name of the kind of error, for programs.
    """

    code: ClassVar[str] = "viewer-error"


class UnreadableFile(ViewerError):
    """The file is missing, is not DICOM, or its header is damaged."""

    code: ClassVar[str] = "unreadable-file"


class UnsupportedTransferSyntax(ViewerError):
    """The pixels are compressed in a way this viewer has no decoder for."""

    code: ClassVar[str] = "unsupported-transfer-syntax"


class UnsupportedPixels(ViewerError):
    """The pixels are absent, incomplete, contradictory, or of a kind that is not drawn."""

    code: ClassVar[str] = "unsupported-pixels"


class UnsafePixels(UnsupportedPixels):
    """Decoding the pixels was stopped: it crashed, took too long or wanted too much memory."""

    code: ClassVar[str] = "unsafe-pixels"


class DecoderBusy(ViewerError):
    """All decoders are at work on other frames; the same request may succeed a moment later."""

    code: ClassVar[str] = "decoder-busy"


class NoSuchFrame(ViewerError):
    """The frame number lies outside 1 to the number of frames."""

    code: ClassVar[str] = "no-such-frame"


class BadRequest(ViewerError):
    """A render parameter (window, viewport, quality, media type) makes no sense."""

    code: ClassVar[str] = "bad-render-request"


class UnsupportedDocument(ViewerError):
    """The report, document, waveform or video in the object is absent, damaged, or another kind."""

    code: ClassVar[str] = "unsupported-document"
