"""The Flask application: its parts put together, and the table from kinds of error to HTTP."""

import logging
import secrets
from http import HTTPStatus
from typing import Final

from flask import Flask, Response, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter

from dicom_node.clock import Clock, utc_now
from dicom_node.correction_desk import CorrectionReader
from dicom_node.errors import BadCorrection, CorrectionRefused, NodeError
from dicom_node.index import FILE as INDEX_FILE
from dicom_node.ledger import FILE as LEDGER_FILE
from dicom_node.ledger import LedgerReader
from dicom_node.settings import Settings
from viewer import errors as viewer_errors
from viewer.cache import ByteBoundedCache
from viewer.decode import Instance
from viewer.errors import ViewerError
from viewer.stacks import FramePlace
from web import (
    annotations,
    api,
    assets,
    board,
    confirmations,
    dicomweb,
    display_check,
    documents,
    errors,
    export,
    live,
    marks,
    other_identities,
    packing,
    pages,
    plain,
    preview,
    print_page,
    quick,
    reconcile,
    reissues,
    rendered,
    security,
    sync_orders,
    tags,
)
from web.context import EXTENSION, WebContext
from web.corrected import CorrectedIndex
from web.decoded_frames import new_decoded_frames
from web.errors import WebError
from web.limits import LARGEST_BODY_BYTES
from web.mark_store import MarkStore
from web.opened_studies import OpenedStudies
from web.opened_study import OpenedStudy
from web.pixel_values import PixelBody
from web.presets import read_presets

HEADER_CACHE_BYTES: Final = 64 * 1024 * 1024
BODY_CACHE_BYTES: Final = 256 * 1024 * 1024
FRAME_PLACE_BYTES: Final = 1500
"""About what the place of one frame takes in memory."""

STATUS_OF_KIND: Final[dict[type[Exception], HTTPStatus]] = {
    errors.WebError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.BadParameter: HTTPStatus.BAD_REQUEST,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.OutOfDate: HTTPStatus.CONFLICT,
    errors.NotAcceptable: HTTPStatus.NOT_ACCEPTABLE,
    errors.WrongContentType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.ChangedMeanwhile: HTTPStatus.CONFLICT,
    errors.MeasuringOff: HTTPStatus.FORBIDDEN,
    errors.ForeignHost: HTTPStatus.FORBIDDEN,
    errors.ForeignOrigin: HTTPStatus.FORBIDDEN,
    errors.MethodNotAllowed: HTTPStatus.METHOD_NOT_ALLOWED,
    # The instance is held, but there is no picture of it to be had: PS3.18 answers 406 when the
    # origin server has no representation in an acceptable media type. The bytes as stored stay
    # available as application/dicom.
    viewer_errors.ViewerError: HTTPStatus.INTERNAL_SERVER_ERROR,
    viewer_errors.UnreadableFile: HTTPStatus.NOT_ACCEPTABLE,
    viewer_errors.UnsupportedTransferSyntax: HTTPStatus.NOT_ACCEPTABLE,
    viewer_errors.UnsupportedPixels: HTTPStatus.NOT_ACCEPTABLE,
    viewer_errors.UnsafePixels: HTTPStatus.NOT_ACCEPTABLE,
    viewer_errors.UnsupportedDocument: HTTPStatus.NOT_ACCEPTABLE,
    viewer_errors.DecoderBusy: HTTPStatus.SERVICE_UNAVAILABLE,
    viewer_errors.NoSuchFrame: HTTPStatus.NOT_FOUND,
    viewer_errors.BadRequest: HTTPStatus.BAD_REQUEST,
    NodeError: HTTPStatus.INTERNAL_SERVER_ERROR,
    BadCorrection: HTTPStatus.BAD_REQUEST,
    CorrectionRefused: HTTPStatus.CONFLICT,
}
"""HTTP status per kind of error; the nearest base class counts."""

_WORDS_OF_STATUS: Final = {
    400: "The request cannot be understood.",
    404: "There is nothing at this address.",
    405: "This address does not offer that method.",
    413: "The request is too large.",
    415: "The request's body is of a type this address does not take.",
    431: "The request's headers are too large.",
}
_MACHINE_PATHS: Final = ("/api/", "/dicom-web/", "/healthz", "/readyz", "/static/")
_log = logging.getLogger(__name__)


class UidConverter(BaseConverter):
    """A part of an address that is a UID: digits and dots, at most 64 (PS3.5 section 9.1)."""

    regex = r"[0-9.]{1,64}"


def create_app(settings: Settings, *, clock: Clock = utc_now) -> Flask:
    """Return the application of one node.

    Parameters
    ----------
    settings : Settings
        The node's settings; the data folder may still be empty.
    clock : callable
        Returns the time now in UTC.

    Returns
    -------
    Flask
    """
    app = Flask("web", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY_BYTES
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of the default JSON provider
    context = new_context(settings, clock)
    app.extensions[EXTENSION] = context
    app.url_map.converters["uid"] = UidConverter
    security.install(app, settings.web.host)
    packing.install(app)
    assets.install(app)
    quick.install(app, context, settings.web.host)
    board.install(app, context)
    for part in (
        pages,
        plain,
        display_check,
        documents,
        tags,
        export,
        print_page,
        api,
        confirmations,
        annotations,
        live,
        marks,
        dicomweb,
        rendered,
        preview,
        other_identities,
        reissues,
        reconcile,
        sync_orders,
    ):
        app.register_blueprint(part.blueprint)
    app.register_error_handler(WebError, answer_known)
    app.register_error_handler(ViewerError, answer_known)
    app.register_error_handler(NodeError, answer_known)
    app.register_error_handler(HTTPException, answer_http)
    app.register_error_handler(Exception, answer_unknown)
    return app


def new_context(settings: Settings, clock: Clock) -> WebContext:
    """Return readers and empty caches over a data folder.

    Parameters
    ----------
    settings : Settings
        Name the data folder.
    clock : callable
        Returns the time now in UTC.

    Returns
    -------
    WebContext
    """
    data = settings.node.data
    corrections = CorrectionReader(data)
    index = CorrectedIndex(data / INDEX_FILE, corrections)
    return WebContext(
        settings=settings,
        clock=clock,
        index=index,
        corrections=corrections,
        ledger=LedgerReader(data / LEDGER_FILE),
        marks=MarkStore(data),
        bodies=ByteBoundedCache(BODY_CACHE_BYTES, body_bytes),
        frames=new_decoded_frames(
            settings, index, ByteBoundedCache(HEADER_CACHE_BYTES, header_bytes)
        ),
        presets=read_presets(settings.web.presets_file),
        opened=OpenedStudies(data),
    )


def header_bytes(instance: Instance) -> int:
    """Estimate what a kept header takes: objects in memory are larger than their bytes.

    Parameters
    ----------
    instance : Instance
        The instance.

    Returns
    -------
    int
    """
    pixels = instance.file_header.pixel_element
    length = instance.file_header.source_bytes if pixels is None else pixels.offset
    return 16384 + 4 * length


def body_bytes(
    body: bytes | OpenedStudy | PixelBody | list[FramePlace],
) -> int:
    """Return what a kept answer takes.

    Parameters
    ----------
    body : bytes, or the list of a study, or values of a frame, or the places of frames
        The answer.

    Returns
    -------
    int
    """
    if isinstance(body, OpenedStudy):
        return len(body.series)
    if isinstance(body, PixelBody):
        return len(body.content)
    if isinstance(body, list):
        return FRAME_PLACE_BYTES * len(body)
    return len(body)


def status_of(error: Exception) -> HTTPStatus:
    """Return the HTTP status for a kind of error.

    Parameters
    ----------
    error : Exception
        One of the kinds in the table, or of a class derived from one.

    Returns
    -------
    HTTPStatus
    """
    return next(STATUS_OF_KIND[kind] for kind in type(error).__mro__ if kind in STATUS_OF_KIND)


def answer_known(error: WebError | ViewerError | NodeError) -> ResponseReturnValue:
    """Answer with an error that was raised on purpose: its code and its words.

    Parameters
    ----------
    error : WebError, ViewerError or NodeError
        What was raised.

    Returns
    -------
    Response
    """
    answer = error_answer(status_of(error), error.code, str(error))
    if isinstance(error, errors.MethodNotAllowed):
        answer.headers["Allow"] = ", ".join(security.METHODS)
    return answer


def answer_http(error: HTTPException) -> ResponseReturnValue:
    """Answer with what Flask itself refused, in our words.

    Parameters
    ----------
    error : HTTPException
        What was raised.

    Returns
    -------
    Response
    """
    status = HTTPStatus(error.code or 500)
    code = status.phrase.lower().replace(" ", "-")
    answer = error_answer(status, code, _WORDS_OF_STATUS.get(status, f"{status.phrase}."))
    for name, value in error.get_headers():
        if name in ("Allow", "Location", "Retry-After"):
            answer.headers[name] = value
    return answer


def answer_unknown(error: Exception) -> ResponseReturnValue:
    """Answer with a fault of ours: a number to find it in the log by, and nothing else.

    Parameters
    ----------
    error : Exception
        What was raised.

    Returns
    -------
    Response
    """
    error_id = secrets.token_hex(6)
    _log.error("request_failed", exc_info=error, extra={"error_id": error_id})
    words = "The node could not answer because of a fault of its own. Other studies may still work."
    return error_answer(HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", words, error_id)


def error_answer(status: HTTPStatus, code: str, message: str, error_id: str = "") -> Response:
    """Return an error as JSON for programs or as a page for people, with the same words.

    Parameters
    ----------
    status : HTTPStatus
        The status.
    code : str
        The stable code of the kind.
    message : str
        What went wrong, in words.
    error_id : str
        The number of a fault of ours, "" otherwise.

    Returns
    -------
    Response
    """
    error = {"code": code, "message": message, "id": error_id}
    if request.path.startswith(_MACHINE_PATHS) or code == errors.ForeignHost.code:
        answer = jsonify(error=error)
    else:
        answer = Response(pages.render_error(error), mimetype="text/html")
    answer.status_code = status
    return answer
