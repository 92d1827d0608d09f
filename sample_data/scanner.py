"""The practice scanner: sends files over real associations, as a modality does.

Every file travels in its own transfer syntax and byte for byte as it lies on disk; nothing is
converted, and nothing is sent twice: whoever calls decides what to do with what was not
acknowledged.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import click
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.uid import UID
from pynetdicom import AE, _config, build_context, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext

from sample_data.address import parse_address
from sample_data.answers import keep_answers
from sample_data.errors import BadAddress
from sample_data.sockets import send_at_once

MAX_CONTEXTS = 128
"""Presentation contexts an association can hold: odd ids 1 to 255 (PS3.8 7.1.1.13)."""

MAX_PDU_BYTES = 131_072
TIMEOUT_S = 30.0

NOT_SENT = "not sent: no association"
NOT_DICOM = "not sent: not a readable DICOM file"
CONTEXT_REJECTED = "not sent: the peer does not take this SOP class in this transfer syntax"
BROKEN_FILE = "no answer: the file could not be read to its end"
NO_ANSWER = "no answer: the association ended"


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one file.

    Attributes
    ----------
    path : Path
        The file.
    sop_instance_uid : str
        (0002,0003) of the file; '' when it is not a DICOM file.
    status : int or None
        (0000,0900) of the answer; None when no answer came, so the outcome is unknown.
    detail : str
        In words, what happened instead of an answer; '' when there was one.
    """

    path: Path
    sop_instance_uid: str
    status: int | None
    detail: str = ""

    @property
    def is_acknowledged(self) -> bool:
        """Whether the peer said that it stored the instance (success, or a warning Bxxx)."""
        return self.status is not None and (self.status == 0 or self.status >> 12 == 0xB)


@dataclass(frozen=True, slots=True)
class _Outgoing:
    position: int
    path: Path
    sop_class_uid: UID
    sop_instance_uid: UID
    transfer_syntax_uid: UID

    @property
    def context(self) -> tuple[UID, UID]:
        return self.sop_class_uid, self.transfer_syntax_uid

    def outcome(self, status: int | None, detail: str = "") -> Sent:
        return Sent(self.path, str(self.sop_instance_uid), status, detail)


def send_files(
    paths: Iterable[Path],
    *,
    host: str,
    port: int,
    called_ae_title: str = "LIFEBOAT",
    calling_ae_title: str = "PRACTICE-CT",
    on_sent: Callable[[int, int], None] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> list[Sent]:
    """Send files by C-STORE and tell what was acknowledged.

    One association for up to 128 pairs of SOP class and transfer syntax, then the next. When an
    association cannot be opened or breaks, nothing further is sent.

    Parameters
    ----------
    paths : iterable of Path
        Part 10 files; they are sent grouped by association, otherwise in this order.
    host, port : str, int
        Where the peer listens.
    called_ae_title, calling_ae_title : str
        AE titles of the peer and of this scanner.
    on_sent : callable, optional
        Called after each acknowledged or refused file with (answers so far, number of files).
    timeout_s : float
        How long to wait for the connection and for each answer, in seconds.

    Returns
    -------
    list of Sent
        One per path, in the order given.

    Notes
    -----
    PS3.4 Annex B; a presentation context is one SOP class with one transfer syntax (PS3.8 9.3.2.2).
    """
    described = [_describe(position, path) for position, path in enumerate(paths)]
    outgoing = [item for item in described if isinstance(item, _Outgoing)]
    results = {at: item for at, item in enumerate(described) if isinstance(item, Sent)}
    entity = _scanner_entity(calling_ae_title, timeout_s)
    for batch in _batches(outgoing):
        association = entity.associate(
            host,
            port,
            contexts=_contexts_of(batch),
            ae_title=called_ae_title,
            evt_handlers=[(evt.EVT_CONN_OPEN, send_at_once), (evt.EVT_CONN_OPEN, keep_answers)],
        )
        for item, sent in _send_batch(association, batch):
            results[item.position] = sent
            if on_sent is not None and sent.status is not None:
                on_sent(len(results), len(described))
        if not (association.is_released or _is_context_trouble(association)):
            break
    for item in outgoing:
        results.setdefault(item.position, item.outcome(None, NOT_SENT))
    return [results[position] for position in range(len(described))]


def find_files(paths: Iterable[Path]) -> list[Path]:
    """Return the DICOM files meant by paths.

    Parameters
    ----------
    paths : iterable of Path
        A file stands for itself; a folder for every Part 10 file below it, sorted by path,
        without a DICOMDIR.

    Returns
    -------
    list of Path
        Files only.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found.extend(sorted(inner for inner in path.rglob("*") if _is_instance_file(inner)))
        else:
            found.append(path)
    return found


def _is_instance_file(path: Path) -> bool:
    if path.name == "DICOMDIR" or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _describe(position: int, path: Path) -> _Outgoing | Sent:
    try:
        meta = read_file_meta_info(path)
    except (InvalidDicomError, OSError, EOFError, ValueError):
        return Sent(path, "", None, NOT_DICOM)
    keywords = ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID")
    uids = [UID(meta.get(keyword) or "") for keyword in keywords]
    return _Outgoing(position, path, *uids) if all(uids) else Sent(path, "", None, NOT_DICOM)


def _scanner_entity(ae_title: str, timeout_s: float) -> AE:
    entity = AE(ae_title=ae_title)
    entity.maximum_pdu_size = MAX_PDU_BYTES
    entity.connection_timeout = timeout_s
    entity.acse_timeout = timeout_s
    entity.dimse_timeout = timeout_s
    # The documented switch that makes the library send a path's bytes instead of decoding and
    # re-encoding them; it concerns nothing but sending by path.
    _config.STORE_SEND_CHUNKED_DATASET = True
    return entity


def _batches(outgoing: Sequence[_Outgoing]) -> Iterator[list[_Outgoing]]:
    contexts = iter(dict.fromkeys(item.context for item in outgoing))
    while chunk := set(islice(contexts, MAX_CONTEXTS)):
        yield [item for item in outgoing if item.context in chunk]


def _contexts_of(batch: Sequence[_Outgoing]) -> list[PresentationContext]:
    pairs = dict.fromkeys(item.context for item in batch)
    return [build_context(sop_class, transfer_syntax) for sop_class, transfer_syntax in pairs]


def _is_context_trouble(association: Association) -> bool:
    """Whether the peer took the association but none of its contexts (the library aborts then)."""
    return bool(association.rejected_contexts) and not association.accepted_contexts


def _send_batch(
    association: Association, batch: Sequence[_Outgoing]
) -> Iterator[tuple[_Outgoing, Sent]]:
    """Send what one association carries; ends early, and aborts it, when an answer is missing."""
    if not association.is_established:
        if _is_context_trouble(association):
            yield from ((item, item.outcome(None, CONTEXT_REJECTED)) for item in batch)
        return
    for message_id, item in enumerate(batch):
        sent = _send_one(association, item, message_id % 65535 + 1)
        yield item, sent
        if sent.detail in (NO_ANSWER, BROKEN_FILE):
            association.abort()
            return
    association.release()


def _send_one(association: Association, item: _Outgoing, message_id: int) -> Sent:
    try:
        answer = association.send_c_store(item.path, msg_id=message_id)
    except ValueError:
        return item.outcome(None, CONTEXT_REJECTED)
    except RuntimeError:
        return item.outcome(None, NO_ANSWER)
    except OSError:
        return item.outcome(None, BROKEN_FILE)
    if "Status" not in answer:
        return item.outcome(None, NO_ANSWER)
    return item.outcome(int(answer.Status))


def report_lines(outcomes: Sequence[Sent]) -> list[str]:
    """Say in words what was and what was not acknowledged.

    Parameters
    ----------
    outcomes : sequence of Sent
        What `send_files` returned.

    Returns
    -------
    list of str
        One line for the total, one for each kind of trouble; no file names, no patient data.
    """
    troubles: dict[str, int] = {}
    for outcome in outcomes:
        if not outcome.is_acknowledged:
            words = outcome.detail or f"refused with status 0x{outcome.status or 0:04X}"
            troubles[words] = troubles.get(words, 0) + 1
    acknowledged = len(outcomes) - sum(troubles.values())
    lines = [f"{acknowledged} of {len(outcomes)} acknowledged"]
    return lines + [f"  {count} {words}" for words, count in sorted(troubles.items())]


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--to", "address", required=True, metavar="HOST:PORT", help="Where the peer listens.")
@click.option("--aet", "called_ae_title", default="LIFEBOAT", show_default=True)
@click.option("--calling", "calling_ae_title", default="PRACTICE-CT", show_default=True)
def main(
    paths: tuple[Path, ...], address: str, called_ae_title: str, calling_ae_title: str
) -> None:
    """Send DICOM files or folders, each in its own transfer syntax.

    Example: python -m sample_data.scanner sample/ --to 127.0.0.1:11112 --aet LIFEBOAT

    Exit code 1 when anything was not acknowledged.
    """
    try:
        host, port = parse_address(address)
    except BadAddress as error:
        raise click.BadParameter(str(error), param_hint="--to") from error
    files = find_files(paths)
    with click.progressbar(length=len(files), label=f"sending {len(files)} files") as bar:
        outcomes = send_files(
            files,
            host=host,
            port=port,
            called_ae_title=called_ae_title,
            calling_ae_title=calling_ae_title,
            on_sent=lambda done, _total: bar.update(done - bar.pos),
        )
    for line in report_lines(outcomes):
        click.echo(line)
    if not all(outcome.is_acknowledged for outcome in outcomes):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
