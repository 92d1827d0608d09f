"""`lifeboat sync accept`: both identities side by side, and what a person decides about them."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from dicom_node.command_line import login_name, settings_of, settings_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dicom_node.accepting import Accepting, OtherIdentity
    from dicom_node.identity import Identity
    from dicom_node.settings import Settings

_EXIT_OPEN = 1
_ENTERED_WITHIN_S: Final = 10.0
_LOOK_EVERY_S: Final = 0.2
_WIDTH: Final = 30
_MEANINGS: Final = ("same-person", "pacs-is-right")


@dataclass(frozen=True, slots=True)
class _Answers:
    """What was answered beforehand; None and '' is asked for, or refused."""

    meaning: str | None
    reason: str
    code: str
    patient_id: str | None


@click.command()
@settings_options
@click.option("--study", default="", metavar="UID", help="The study; without it all are listed.")
@click.option("--pacs", default="", metavar="NAME", help="Needed when several keep it otherwise.")
@click.option(
    "--meaning",
    type=click.Choice(_MEANINGS),
    help="Why it may stay; needed to accept.",
)
@click.option("--reason", default="", help="Why; on record, so no patient names.")
@click.option("--code", default="", metavar="CODE", help="The code shown, to answer beforehand.")
@click.option("--patient-id", metavar="ID", help="The one in the PACS, to answer beforehand.")
@click.option("--undo", is_flag=True, help="Take an acceptance back.")
def accept(
    config: Path | None,
    data: Path | None,
    overrides: tuple[str, ...],
    study: str,
    pacs: str,
    meaning: str | None,
    reason: str,
    code: str,
    patient_id: str | None,
    undo: bool,
) -> None:
    """Accept the identity under which a PACS keeps a study.

    \b
    Example: lifeboat sync accept                  lists what could be accepted
             lifeboat sync accept --study 1.2.3.4 --meaning same-person --reason "maiden name"
             lifeboat sync accept --study 1.2.3.4 --undo --reason "it was the other Smith"
    Shows both identities, and asks for the code of what is shown, and for the patient ID in the
    PACS where the patient is in question. Nothing is changed in the PACS, and nothing becomes
    proven by it. Anything else in the PACS is raised again. It can be undone until an outage is
    signed as closed with it.
    Exits 0 when it is entered, 1 when something is open or not entered yet, 2 when there is
    nothing to accept.
    """
    settings = settings_of(config, data, overrides)
    from dicom_node.accepting import Accepting
    from dicom_node.ledger import FILE, LedgerReader

    ledger = LedgerReader(settings.node.data / FILE)
    try:
        accepting = Accepting(settings.node.data, ledger)
        if not study:
            _list(accepting, settings)
        elif undo:
            _undo(accepting, study, pacs, reason)
        else:
            _accept(accepting, settings, (study, pacs), _Answers(meaning, reason, code, patient_id))
    finally:
        ledger.close()


def _list(accepting: Accepting, settings: Settings) -> None:
    found = accepting.open()
    for one in found:
        _show(one, settings)
    for decided in accepting.accepted():
        click.echo(f"{decided.study_instance_uid} at {decided.destination}: accepted by")
        click.echo(f"  {_plain(decided.by)} at {decided.at}: {_plain(decided.reason)}")
    click.echo(f"{len(found)} to be looked at")
    sys.exit(_EXIT_OPEN if found else 0)


def _accept(
    accepting: Accepting, settings: Settings, which: tuple[str, str], given: _Answers
) -> None:
    from dicom_node.accepting import NOT_KNOWN, PROMISE, only_one
    from dicom_node.errors import BadSettings

    chosen = only_one(accepting.open(*which))
    if given.meaning is None:
        raise click.UsageError(f"say why it may stay: --meaning {' or --meaning '.join(_MEANINGS)}")
    if not given.reason.strip():
        raise BadSettings("say why with --reason: it is put on record")
    _show(chosen, settings)
    if not chosen.answers:
        raise BadSettings(NOT_KNOWN)
    click.echo(PROMISE)
    patient_id = given.patient_id
    if patient_id is None and chosen.id_to_type:
        patient_id = _asked("Type the patient ID in the PACS")
    code = given.code or _asked("Type the code to accept")
    order = accepting.accept(
        chosen,
        code,
        given.meaning,
        by=login_name(),
        reason=given.reason,
        retyped_patient_id=patient_id or "",
    )
    _say_what_came_of_it(lambda: accepting.outcome(order))


def _asked(words: str) -> str:
    return str(click.prompt(words, default="", show_default=False))


def _say_what_came_of_it(outcome: Callable[[], str | None]) -> None:
    """Say that an acceptance is entered; exit 1 where it was refused, or is only on record."""
    _wait_until(lambda: outcome() is not None)
    refused = outcome()
    if refused:
        click.echo(refused, err=True)
        sys.exit(_EXIT_OPEN)
    click.echo("accepted")


def _undo(accepting: Accepting, study: str, pacs: str, reason: str) -> None:
    from dicom_node.errors import BadSettings

    found = [one for one in accepting.decided(study) if pacs in ("", one.destination)]
    if len(found) != 1:
        names = ", ".join(one.destination for one in found)
        raise BadSettings(
            f"choose with --pacs: {names}" if found else "nothing was accepted of that study"
        )
    accepting.undo(found[0], by=login_name(), reason=reason)
    there = found[0].destination
    _wait_until(lambda: all(one.destination != there for one in accepting.decided(study)))
    click.echo("undone: the difference is open again")


def _wait_until(is_entered: Callable[[], bool]) -> None:
    """Wait for the delivering process; exit 1 while an order is only on record."""
    deadline = time.monotonic() + _ENTERED_WITHIN_S
    while not is_entered():
        if time.monotonic() > deadline:
            click.echo(
                "on record, and not entered: nothing delivers from this data folder now; "
                "see lifeboat sync accept",
                err=True,
            )
            sys.exit(_EXIT_OPEN)
        time.sleep(_LOOK_EVERY_S)


def _show(one: OtherIdentity, settings: Settings) -> None:
    from dicom_node.accepting import NOT_KNOWN
    from dicom_node.kept_identity import WORDS, Kept

    kept = one.kept
    click.echo(f"Study {kept.study_instance_uid} at {kept.destination}, found {kept.found_at}:")
    click.echo(f"  {WORDS[Kept(kept.state)]}")
    click.echo(f"  {'':21}{'here':{_WIDTH}} in the PACS")
    for line in _lines(one, _identity(settings, kept.study_instance_uid)):
        click.echo(line)
    click.echo(f"  {f'Code of what is shown: {one.code}' if one.answers else NOT_KNOWN}")


def _lines(one: OtherIdentity, ours: Identity) -> Iterator[str]:
    """Return a line for each attribute, of each patient that the PACS lists the study under."""
    tables = one.compared(ours)
    for number, table in enumerate(tables, 1):
        if len(tables) > 1:
            yield f"  Patient {number} of {len(tables)} in the PACS"
        for line in table:
            here, there = _plain(line.ours) or "-", _plain(line.theirs) or "-"
            label = f"  {line.attribute.replace('_', ' '):21}"
            yield f"{label}{here:{_WIDTH}} {there:{_WIDTH}} {line.words}"


def _identity(settings: Settings, study: str) -> Identity:
    """Return the identity a study is shown and sent with; unknown when it is not held any more."""
    from dicom_node.correction_desk import CorrectionReader
    from dicom_node.identity import Identity
    from dicom_node.index import FILE, IndexReader

    index, desk = IndexReader(settings.node.data / FILE), CorrectionReader(settings.node.data)
    try:
        held, correction = index.study(study), desk.active(study)
    finally:
        index.close()
        desk.close()
    identity = Identity() if held is None else Identity.of(asdict(held))
    return identity if correction is None else correction.of(identity)


def _plain(text: str) -> str:
    """Return a text of a patient for a terminal: nothing in it may steer the terminal."""
    return "".join(mark if mark.isprintable() else "?" for mark in text)
