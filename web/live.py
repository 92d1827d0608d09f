"""What changed: one short text that moves whenever a page would look different."""

from pathlib import Path

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from dicom_node.desk_file import FILE as DESK_FILE
from dicom_node.mode_state import read_mode
from dicom_node.trouble import troubles
from web.board import current_board
from web.context import WebContext, current
from web.mode import mode_answer

blueprint = Blueprint("live", __name__)


@blueprint.get("/api/v1/changes")
def changes() -> ResponseReturnValue:
    """Answer with the revision, or 304 when the client's ETag still holds."""
    context = current()
    answer = jsonify(revision=revision(context), now=context.now_text(), mode=mode_answer(context))
    answer.set_etag(revision(context))
    answer.headers["Cache-Control"] = "no-cache"
    return answer.make_conditional(request)


@blueprint.get("/healthz")
def healthz() -> Response:
    """Tell that the process lives and how much it holds; no patient data."""
    context = current()
    found = troubles(context.settings)
    mode = read_mode(context.settings.node.data, context.clock)
    return jsonify(
        status="live",
        node=context.settings.node.name,
        degraded=bool(found),
        troubles=found,
        mode=mode.mode.value,
        mode_since=mode.since,
        **context.index.counts(),
    )


@blueprint.get("/readyz")
def readyz() -> ResponseReturnValue:
    """Tell whether pages can be served: 200, or 503 while there is no index to read."""
    context = current()
    if context.index_file.exists():
        return jsonify(status="ready")
    return jsonify(status="waiting", reason="The receiving process has not made an index yet."), 503


def revision(context: WebContext) -> str:
    """Return a text that changes whenever a page would say something else.

    Parameters
    ----------
    context : WebContext
        Settings and readers.

    Returns
    -------
    str
    """
    mode = read_mode(context.settings.node.data, context.clock)
    marks = (
        context.index.revision(),
        file_mark(context.ledger_file),
        file_mark(context.settings.node.data / DESK_FILE),
        current_board().theatre_file.mark(),
        f"{mode.mode.value}{mode.since}",
    )
    return "-".join(marks)


def file_mark(database: Path) -> str:
    """Return a mark of an SQLite file and its write-ahead log that moves with every commit.

    Parameters
    ----------
    database : Path
        The main file.

    Returns
    -------
    str
        Times and sizes; a missing file counts as zero.
    """
    marks = []
    for path in (database, database.with_name(database.name + "-wal")):
        try:
            status = path.stat()
        except OSError:
            marks.append("0")
        else:
            marks.append(f"{status.st_mtime_ns:x}.{status.st_size:x}")
    return "-".join(marks)
