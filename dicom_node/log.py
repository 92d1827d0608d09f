"""Log lines as JSON, with an allow-list of fields and never patient data."""

import json
import logging
import sys
import threading
import traceback
from datetime import UTC, datetime
from typing import Final, TextIO

FIELDS: Final = (
    "peer",
    "ae_title",
    "destination",
    "door",
    "sop_class_uid",
    "transfer_syntax_uid",
    "bytes",
    "count",
    "ms",
    "status",
    "attempt",
    "state",
    "error_code",
    "error_id",
    "child",
    "exit_code",
    "port",
)
"""Facts a line may carry; anything else is dropped."""


class JsonLines(logging.Formatter):
    """Format a record as one JSON object: time, level, event, and the allowed facts.

    The message of our own records is a fixed event name. Records of other libraries are reduced to
    where they come from, because their text may quote a data set.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        is_ours = record.name.split(".")[0] in ("dicom_node", "viewer", "web", "lifeboat")
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage() if is_ours else "library_message",
            "logger": record.name,
        }
        line |= {name: getattr(record, name) for name in FIELDS if name in record.__dict__}
        if record.exc_info and record.exc_info[0] is not None:
            line["error_type"] = record.exc_info[0].__name__
            line["error_at"] = _origin(record.exc_info[2])
        return json.dumps(line)


def _log_thread_error(error: threading.ExceptHookArgs) -> None:
    """Log type and place of what ended a thread, never its words."""
    information = (error.exc_type, error.exc_value or error.exc_type(), error.exc_traceback)
    logging.getLogger(__name__).error("thread_died", exc_info=information)


def _origin(trace: object) -> str:
    frames = traceback.extract_tb(trace)  # type: ignore[arg-type]  # None is accepted
    return f"{frames[-1].name}:{frames[-1].lineno}" if frames else ""


def configure_logging(stream: TextIO = sys.stderr, level: int = logging.INFO) -> None:
    """Send every log record of this process to a stream as JSON lines."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # the libraries log and warn with data set contents and peers' texts; our own lines say what
    # happened, and a captured warning leaves only its origin
    logging.captureWarnings(True)
    threading.excepthook = _log_thread_error
    for name in ("pynetdicom", "pydicom", "watchdog", "werkzeug"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
