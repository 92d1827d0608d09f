"""The web process: the application behind a production server, on this machine only."""

import logging
import multiprocessing
import multiprocessing.connection
import multiprocessing.util
import os
import signal
import socket
import threading
from functools import partial
from ipaddress import ip_address
from typing import Any, Final

from granian import Granian
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from dicom_node.errors import BadSettings
from dicom_node.log import configure_logging
from dicom_node.setting_tables import WebSettings
from dicom_node.settings import Settings
from web.app import create_app
from web.board import board_of
from web.context import EXTENSION, WebContext
from web.limits import BoundedWork, keep_freed_memory
from web.warm_up import WarmUp

STOP_TIMEOUT_S: Final = 10
"""How long answers under way may take after a request to stop, seconds."""
CLIENTS_AT_ONCE: Final = 256
"""Clients that may send or receive slowly at the same time; each holds an idle thread."""
HEADER_TIMEOUT_MS: Final = 10_000
"""How long a client may take for the head of its request, milliseconds."""
LARGEST_HEAD_BYTES: Final = 65536
_LOGGING: Final[dict[str, Any]] = {
    "version": 1,
    "disable_existing_loggers": False,
    "loggers": {"_granian": {"level": "ERROR", "propagate": True}},
}


def serve(settings: Settings) -> None:
    """Serve pages, DICOMweb and the JSON API until SIGTERM or SIGINT.

    Parameters
    ----------
    settings : Settings
        `web.host` and `web.port` name the address.

    Raises
    ------
    BadSettings
        The address is not of this machine alone, or is taken.
    """
    check_loopback(settings.web)
    check_free(settings.web)
    new_server(settings).serve(target_loader=partial(load_app, settings), wrap_loader=False)


def check_loopback(web: WebSettings) -> None:
    """Refuse to serve other machines: nobody has to log in yet.

    Parameters
    ----------
    web : WebSettings
        The address.

    Raises
    ------
    BadSettings
        It is not a loopback address.
    """
    if web.host.lower() == "localhost":
        return
    try:
        is_local = ip_address(web.host).is_loopback
    except ValueError:
        is_local = False
    if not is_local:
        raise BadSettings(
            f"web.host is {web.host}, but pages are served to this machine only (127.0.0.1) "
            "because there are no user accounts yet."
        )


def check_free(web: WebSettings) -> None:
    """Refuse an address somebody listens on already; the server itself would share it silently.

    Parameters
    ----------
    web : WebSettings
        The address.

    Raises
    ------
    BadSettings
        It is taken or cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in web.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((web.host, web.port))
        except OSError as error:
            raise BadSettings(
                f"web.port {web.port} on {web.host} cannot be listened on: {error.strerror}. "
                "Choose another with --set web.port=..."
            ) from error


def new_server(settings: Settings) -> Any:
    """Return the server, not yet listening.

    Parameters
    ----------
    settings : Settings
        Address, processes and threads.

    Returns
    -------
    granian.Granian
    """
    web = settings.web
    return Granian(
        "web",
        address="127.0.0.1" if web.host.lower() == "localhost" else web.host,
        port=web.port,
        interface=Interfaces.WSGI,
        workers=web.workers,
        blocking_threads=CLIENTS_AT_ONCE,
        backlog=1024,
        backpressure=1024,
        http1_settings=HTTP1Settings(
            header_read_timeout=HEADER_TIMEOUT_MS, max_buffer_size=LARGEST_HEAD_BYTES
        ),
        websockets=False,
        log_dictconfig=_LOGGING,
        log_level=LogLevels.error,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_TIMEOUT_S,
    )


def load_app(settings: Settings) -> BoundedWork:
    """Return the application; called once in each worker process.

    Parameters
    ----------
    settings : Settings
        The node's settings.

    Returns
    -------
    BoundedWork
    """
    # a signal before the server has set its own handlers would go to those of the forked parent
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if not logging.getLogger().handlers:
        configure_logging()
    keep_freed_memory()
    threading.Thread(target=stop_with_parent, name="parent", daemon=True).start()
    app = create_app(settings)
    context: WebContext = app.extensions[EXTENSION]
    context.frames.start()
    warm_up = WarmUp(context, app.jinja_env, board_of(app))
    warm_up.start()
    multiprocessing.util.Finalize(None, context.close, exitpriority=0)
    multiprocessing.util.Finalize(None, warm_up.close, exitpriority=1)
    return BoundedWork(app, settings.web.threads, context.frames.at_work)


def stop_with_parent() -> None:
    """Send this worker SIGTERM when the process that made it is gone, however it went."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
