"""Does it work here? What an operator asks before an outage, and during one."""

import http.client
import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from dicom_node.certificate import certificate_state
from dicom_node.clock import utc_now
from dicom_node.errors import BadSettings
from dicom_node.inbox import inbox_state
from dicom_node.index import FILE as INDEX_FILE
from dicom_node.index import IndexReader
from dicom_node.ledger import FILE as LEDGER_FILE
from dicom_node.ledger import LedgerReader
from dicom_node.mode_state import read_mode
from dicom_node.pacs_probe import probe_pacs
from dicom_node.quarantine import FOLDER as QUARANTINE
from dicom_node.quarantine import count_quarantine
from dicom_node.refusals import read_refusals
from dicom_node.scrub import read_state
from dicom_node.setting_tables import PacsSettings
from dicom_node.settings import Settings
from dicom_node.storage import INCOMING, make_data_folder
from dicom_node.trouble import troubles
from dicom_node.unknown_switch import UnknownSwitch

_LOOPBACK: Final = ("127.", "::1", "localhost")
_CONNECT_TIMEOUT_S: Final = 1.0
_INDEX_LATE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check: `outcome` is `ok`, `warning` or `failed`; `words` say what to do."""

    name: str
    outcome: str
    words: str


def run_checks(settings: Settings) -> list[CheckResult]:
    """Check everything that can be checked without changing anything."""
    checks: list[Callable[[Settings], CheckResult]] = [
        _check_data_folder,
        _check_room,
        _check_dicom_port,
        _check_web_port,
        _check_modalities,
    ]
    results = [check(settings) for check in checks]
    if settings.tls.is_wanted:
        results.append(_check_tls(settings))
    results += [_check_pacs(pacs, settings.dicom.ae_title) for pacs in settings.pacs]
    if not settings.pacs:
        words = "none is configured: nothing will be returned; set pacs.host, port and ae_title"
        results.append(CheckResult("PACS", "warning", words))
    return results


def require_startable(settings: Settings) -> None:
    """Check what would keep the processes from starting.

    Raises
    ------
    StorageFailed
        The data folder cannot be written.
    BadSettings
        A port cannot be listened on.
    """
    make_data_folder(settings.node.data)
    for name, host, port in (
        ("dicom", settings.dicom.host, settings.dicom.port),
        ("web", settings.web.host, settings.web.port),
    ):
        failure = _bind_failure(host, port)
        if failure:
            raise BadSettings(
                f"cannot listen on {host} port {port}: {failure}; set {name}.host and {name}.port"
            )


def not_queued_yet(settings: Settings) -> int:
    """Return how many instances a configured PACS is owed that sync has not looked at."""
    if not settings.pacs:
        return 0
    data = settings.node.data
    last = LedgerReader(data / LEDGER_FILE).last_instance_id()
    return IndexReader(data / INDEX_FILE).count_after(last)


def node_status(settings: Settings) -> dict[str, Any]:
    """Return what the node holds, what it owes, and which of its ports answer."""
    data = settings.node.data
    counts = IndexReader(data / INDEX_FILE).counts()
    owed: dict[str, int] = {}
    for destination in LedgerReader(data / LEDGER_FILE).destinations():
        for state, number in destination.counts.items():
            owed[state] = owed.get(state, 0) + number
    return {
        "name": settings.node.name,
        "data": str(data.resolve()),
        "is_receiving": _answers_echo(
            settings.dicom.host, settings.dicom.port, settings.dicom.ae_title
        ),
        "is_serving": _serves(settings),
        **counts,
        "inbox": inbox_state(data),
        "scrubbed_at": read_state(data).last_pass_at or "not yet",
        "not_indexed": _waiting_for_index(data / INCOMING),
        "quarantined": count_quarantine(data / QUARANTINE),
        "free_bytes": _free_bytes(data),
        "degraded": bool(found := troubles(settings)),
        "troubles": found,
        "delivery": owed,
        **mode_status(settings),
        **door_status(settings),
    }


def mode_status(settings: Settings) -> dict[str, Any]:
    """Return the mode of the node, since when, and what a person reads of it."""
    state = read_mode(settings.node.data)
    return {"mode": state.mode.value, "mode_since": state.since, "mode_reason": state.reason}


def door_status(settings: Settings) -> dict[str, Any]:
    """Return who may call the DICOM port, how its certificate stands, and who was turned away."""
    certificate = certificate_state(settings.tls, utc_now())
    opening = UnknownSwitch(settings.node.data).opening()
    return {
        "modalities": len(settings.modalities),
        "accept_unknown": asdict(opening) if opening else None,
        "certificate": asdict(certificate) if certificate else None,
        "refusals": [asdict(refusal) for refusal in read_refusals(settings.node.data)],
    }


def is_listening(host: str, port: int) -> bool:
    """Tell whether something accepts connections there."""
    target = "127.0.0.1" if host in ("0.0.0.0", "") else host
    try:
        with socket.create_connection((target, port), _CONNECT_TIMEOUT_S):
            return True
    except OSError:
        return False


def _check_data_folder(settings: Settings) -> CheckResult:
    data = settings.node.data
    existing = data if data.exists() else _nearest_parent(data)
    if not os.access(existing, os.W_OK | os.X_OK):
        words = f"{data} cannot be written by this user; change its owner or node.data"
        return CheckResult("data folder", "failed", words)
    return CheckResult("data folder", "ok", str(data.resolve()))


def _check_room(settings: Settings) -> CheckResult:
    free = _free_bytes(settings.node.data)
    words = f"{free / 1e9:.1f} GB free, {settings.storage.reserve_bytes / 1e9:.1f} GB in reserve"
    outcome = "ok" if free > settings.storage.reserve_bytes else "failed"
    return CheckResult("disk", outcome, words)


def _check_dicom_port(settings: Settings) -> CheckResult:
    dicom = settings.dicom
    where = f"{dicom.ae_title} at {dicom.host} port {dicom.port}"
    if not is_listening(dicom.host, dicom.port):
        failure = _bind_failure(dicom.host, dicom.port)
        if failure:
            return CheckResult("DICOM port", "failed", f"{where}: {failure}")
    elif not _answers_echo(dicom.host, dicom.port, dicom.ae_title):
        words = f"{where} is taken by something that does not answer our C-ECHO"
        return CheckResult("DICOM port", "failed", words)
    if dicom.host.startswith(_LOOPBACK):
        words = f"{where} is reached only from this machine; set dicom.host for scanners"
        return CheckResult("DICOM port", "warning", words)
    return CheckResult("DICOM port", "ok", where)


def _check_modalities(settings: Settings) -> CheckResult:
    opening = UnknownSwitch(settings.node.data).opening()
    if opening and settings.modalities:
        words = f"unknown scanners are accepted until {opening.until}, by {opening.by}"
        return CheckResult("modalities", "warning", words)
    if settings.modalities:
        words = f"{len(settings.modalities)} listed; whoever is not is refused"
        return CheckResult("modalities", "ok", words)
    words = "none is listed, so everyone may send; list them as [modalities.NAME]"
    outcome = "ok" if settings.dicom.host.startswith(_LOOPBACK) else "warning"
    return CheckResult("modalities", outcome, words)


def _check_tls(settings: Settings) -> CheckResult:
    state = certificate_state(settings.tls, utc_now())
    assert state is not None  # a TLS port is wanted
    host, port = settings.dicom.host, settings.tls.port
    where = f"{host} port {port}: "
    failure = None if is_listening(host, port) else _bind_failure(host, port)
    if failure:
        return CheckResult("TLS port", "failed", where + failure)
    return CheckResult("TLS port", state.outcome, where + state.words)


def _check_web_port(settings: Settings) -> CheckResult:
    web = settings.web
    where = f"{web.host} port {web.port}"
    failure = None if is_listening(web.host, web.port) else _bind_failure(web.host, web.port)
    if failure:
        return CheckResult("web port", "failed", f"{where}: {failure}")
    return CheckResult("web port", "ok", where)


def _check_pacs(pacs: PacsSettings, our_ae_title: str) -> CheckResult:
    where = f"{pacs.ae_title} at {pacs.host} port {pacs.port}"
    verdict = probe_pacs(pacs, our_ae_title)
    # out of reach is what the node is for: worth knowing, not a fault of the set-up
    outcome = "ok" if verdict.is_healthy else "warning"
    return CheckResult(f"PACS {pacs.name}", outcome, f"{where}: {verdict.words}")


def _answers_echo(host: str, port: int, ae_title: str) -> bool:
    target = "127.0.0.1" if host in ("0.0.0.0", "") else host
    return probe_pacs(PacsSettings("self", ae_title, target, port), ae_title).is_healthy


def _serves(settings: Settings) -> bool:
    """Tell whether the web port answers as this node."""
    connection = http.client.HTTPConnection(
        settings.web.host, settings.web.port, timeout=_CONNECT_TIMEOUT_S
    )
    try:
        connection.request("GET", "/healthz")
        return bool(json.load(connection.getresponse()).get("node") == settings.node.name)
    except (OSError, ValueError, AttributeError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _waiting_for_index(incoming: Path) -> int:
    """Count what is durable but should long be indexed: the index is stuck or damaged."""
    try:
        entries = [entry.stat() for entry in os.scandir(incoming)]
    except OSError:
        return 0
    before = time.time() - _INDEX_LATE_S
    return sum(1 for entry in entries if entry.st_nlink > 1 and entry.st_mtime < before)


def _bind_failure(host: str, port: int) -> str | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as exc:
            return exc.strerror or "it cannot be listened on"
    return None


def _free_bytes(data: Path) -> int:
    status = os.statvfs(data if data.exists() else _nearest_parent(data))
    return status.f_bavail * status.f_frsize


def _nearest_parent(path: Path) -> Path:
    return next(parent for parent in path.resolve().parents if parent.exists())
