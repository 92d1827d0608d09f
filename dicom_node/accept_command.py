"""`lifeboat sync accept`: both identities side by side, and what a person decides about them."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
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


@click.command()
@settings_options
@click.option("--study", default="", metavar="UID", help="The study; without it all are listed.")
@click.option("--pacs", default="", metavar="NAME", help="Needed when several keep it otherwise.")
@click.option(
    "--meaning",
    type=click.Choice(("same-person", "pacs-is-right")),
    default="same-person",
    show_default=True,
    help="Why it may stay.",
)
@click.option("--reason", default="", help="Why; on record, so no patient names.")
@click.option("--code", default="", metavar="CODE", help="The code shown, to answer beforehand.")
@click.option("--undo", is_flag=True, help="Take an acceptance back.")
def accept(
    config: Path | None,
    data: Path | None,
    overrides: tuple[str, ...],
    study: str,
    pacs: str,
    meaning: str,
    reason: str,
    code: str,
    undo: bool,
) -> None:
    """Accept the identity under which a PACS keeps a study.

    \b
    Example: lifeboat sync accept                  lists what could be accepted
             lifeboat sync accept --study 1.2.3.4 --reason "maiden name, same person"
             lifeboat sync accept --study 1.2.3.4 --undo --reason "it was the other Smith"
    Shows both identities, and asks for the code of what is shown. Nothing is changed in the
    PACS, and nothing becomes proven by it. Any other difference is raised again. It can be
    undone until an outage is signed as closed.
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
            _accept(accepting, settings, (study, pacs), (meaning, reason, code))
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
    accepting: Accepting, settings: Settings, which: tuple[str, str], how: tuple[str, str, str]
) -> None:
    from dicom_node.accepting import PROMISE, only_one
    from dicom_node.errors import BadSettings

    (study, pacs), (meaning, reason, code) = which, how
    chosen = only_one(accepting.open(study, pacs))
    if not reason.strip():
        raise BadSettings("say why with --reason: it is put on record")
    _show(chosen, settings)
    click.echo(PROMISE)
    typed = code or click.prompt("Type the code to accept", default="", show_default=False)
    accepting.accept(chosen, typed, meaning, by=login_name(), reason=reason)
    _wait_until(
        lambda: any(
            one.study_instance_uid == study and one.destination == chosen.kept.destination
            for one in accepting.accepted(study)
        ),
        "accepted",
    )


def _undo(accepting: Accepting, study: str, pacs: str, reason: str) -> None:
    from dicom_node.errors import BadSettings

    found = [one for one in accepting.accepted(study) if pacs in ("", one.destination)]
    if len(found) != 1:
        names = ", ".join(one.destination for one in found)
        raise BadSettings(
            f"choose with --pacs: {names}" if found else "nothing was accepted of that study"
        )
    accepting.undo(found[0], by=login_name(), reason=reason)
    _wait_until(
        lambda: (
            not any(one.destination == found[0].destination for one in accepting.accepted(study))
        ),
        "undone: the difference is open again",
    )


def _wait_until(is_entered: Callable[[], bool], words: str) -> None:
    """Say that it is entered, or exit 1 while it is only on record."""
    deadline = time.monotonic() + _ENTERED_WITHIN_S
    while not is_entered():
        if time.monotonic() > deadline:
            click.echo(
                "on record, and not entered: either nothing delivers from this data folder now, "
                "or the PACS keeps it otherwise than was shown; see lifeboat sync accept",
                err=True,
            )
            sys.exit(_EXIT_OPEN)
        time.sleep(_LOOK_EVERY_S)
    click.echo(words)


def _show(one: OtherIdentity, settings: Settings) -> None:
    from dicom_node.kept_identity import WORDS, Kept

    kept = one.kept
    click.echo(f"Study {kept.study_instance_uid} at {kept.destination}, found {kept.found_at}:")
    click.echo(f"  {WORDS[Kept(kept.state)]}")
    click.echo(f"  {'':21}{'here':{_WIDTH}} in the PACS")
    for line in _lines(one, _identity(settings, kept.study_instance_uid)):
        click.echo(line)
    click.echo(f"  Code of what is shown: {one.code}")


def _lines(one: OtherIdentity, ours: Identity) -> Iterator[str]:
    """Return a line for each attribute, and one for each other value the PACS has of it."""
    for name, value in asdict(ours).items():
        others = [item for item in one.found if item.attribute == name]
        label = f"  {name.replace('_', ' '):21}"
        for item in others:
            here, there = _plain(item.ours) or "-", _plain(item.theirs) or "-"
            yield f"{label}{here:{_WIDTH}} {there:{_WIDTH}} {item.kind}"
        if not others:
            yield f"{label}{_plain(value) or '-':{_WIDTH}} no difference"


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
