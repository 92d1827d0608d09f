"""`lifeboat sync reissue`: a study a PACS has under a wrong identity, sent under new UIDs."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from dicom_node.command_line import login_name, settings_of, settings_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_node.correction import Correction
    from dicom_node.reissuing import Preview, Reissuing
    from dicom_node.settings import Settings

_EXIT_OPEN = 1
_ENTERED_WITHIN_S: Final = 10.0
_LOOK_EVERY_S: Final = 0.2
_TITLES: Final = {"worklist": "113038", "safety": "113037"}


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is to be reissued where, by whom and why."""

    study: str
    destination: str
    why: str
    title: str
    is_answered: bool


@click.command()
@settings_options
@click.argument("study", metavar="STUDY_UID")
@click.option("--destination", required=True, metavar="NAME", help="The PACS that has it.")
@click.option("--why", required=True, help="On record and in the note, so no patient names.")
@click.option(
    "--correct", multiple=True, metavar="NAME=VALUE", help="What is right, unless that is decided."
)
@click.option(
    "--title",
    type=click.Choice(tuple(_TITLES)),
    default="worklist",
    show_default=True,
    help="Why the PACS is to hide the old ones: the wrong worklist entry, or patient safety.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--wait", is_flag=True, help="Show the progress until the old ones are rejected.")
@click.option("--undo", is_flag=True, help="Take it back, as long as nothing was sent.")
def reissue(
    config: Path | None,
    data: Path | None,
    overrides: tuple[str, ...],
    study: str,
    destination: str,
    why: str,
    correct: tuple[str, ...],
    title: str,
    yes: bool,
    wait: bool,
    undo: bool,
) -> None:
    """Send a study under new UIDs where a PACS has it under a wrong identity already.

    \b
    Example: lifeboat sync reissue 1.2.3.4 --destination main --why "wrong worklist entry"
             lifeboat sync reissue 1.2.3.4 --destination main --why "wrong entry" --wait
               --correct patient_id=PH-2 --correct patient_name=DOE^JANE
             lifeboat sync reissue 1.2.3.4 --destination main --why "it was right" --undo
    Shows first what would be sent under which identity, and what would be rejected. Without
    --correct it goes with the correction that is in force. When all new images are proven, the
    PACS is sent a note that rejects the old ones; one that knows no such notes keeps both.
    Exits 0 when it is entered (with --wait: when the old ones are rejected), 1 when something is
    open or not entered yet, 2 when it cannot be done.
    """
    settings = settings_of(config, data, overrides)
    from dicom_node.ledger import FILE, LedgerReader
    from dicom_node.reissuing import Reissuing

    asked = _Asked(study, destination, why, _TITLES[title], yes)
    ledger = LedgerReader(settings.node.data / FILE)
    try:
        reissuing = Reissuing(settings.node.data, ledger)
        if undo:
            _undo(reissuing, asked)
            return
        _order(reissuing, asked, _correction(settings, study, correct))
        if wait:
            _follow(reissuing, asked)
    finally:
        ledger.close()


def _correction(settings: Settings, study: str, correct: tuple[str, ...]) -> Correction:
    """Return the correction in force, or a preview of what `--correct` says."""
    from dicom_node.clock import utc_now
    from dicom_node.correction_desk import CorrectionReader
    from dicom_node.errors import ReissueRefused
    from dicom_node.index import FILE, IndexReader
    from dicom_node.reissuing import draft

    desk, index = CorrectionReader(settings.node.data), IndexReader(settings.node.data / FILE)
    try:
        active = desk.active(study)
        if active is not None and correct:
            raise ReissueRefused("a correction of this study is in force: leave --correct out")
        if active is not None:
            return active
        wanted = dict(_pair(one) for one in correct)
        if not wanted:
            raise ReissueRefused("say what is right with --correct: no correction is in force")
        return draft(settings.node.data, index, study, wanted, utc_now)
    finally:
        desk.close()
        index.close()


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--correct {text}: write it as NAME=VALUE")
    return name.strip(), value


def _order(reissuing: Reissuing, asked: _Asked, correction: Correction) -> None:
    from dicom_node.reissuing import PROMISE

    preview = reissuing.preview(correction, asked.destination)
    _show(preview, asked)
    click.echo(PROMISE)
    typed = preview.id_to_type
    if not asked.is_answered and typed:
        typed = str(click.prompt("Type the patient ID these images are to have"))
    elif not asked.is_answered:
        click.confirm("Send it under new UIDs?", abort=True)
    reissuing.order(
        preview, asked.title, by=login_name(), reason=asked.why, retyped_patient_id=typed
    )
    _wait_until(lambda: reissuing.at(asked.study, asked.destination) is not None)
    click.echo("entered: see lifeboat sync status, and lifeboat sync report")


def _show(preview: Preview, asked: _Asked) -> None:
    from dicom_node.identity import ATTRIBUTES
    from dicom_node.reissue import TITLE_WORDS

    click.echo(f"Study {asked.study} at {asked.destination}")
    click.echo(f"  {'':21}{'as received':30} corrected")
    for name in ATTRIBUTES:
        before, after = getattr(preview.before, name), getattr(preview.after, name)
        mark = "" if before == after else "  changed"
        label = f"  {name.replace('_', ' '):21}"
        click.echo(f"{label}{_plain(before) or '-':30} {_plain(after) or '-'}{mark}")
    click.echo(f"  {preview.sent} instances are sent under new UIDs")
    said = TITLE_WORDS[asked.title]
    click.echo(f"  {preview.rejected} instances are rejected there: {said} ({asked.title}, DCM)")


def _undo(reissuing: Reissuing, asked: _Asked) -> None:
    reissuing.undo(asked.study, asked.destination, by=login_name(), reason=asked.why)
    _wait_until(lambda: reissuing.at(asked.study, asked.destination) is None)
    click.echo("undone. The correction stays in force until it is undone under Reconcile")


def _follow(reissuing: Reissuing, asked: _Asked) -> None:
    """Show how many are proven, until the old ones are rejected, or a person must look."""
    from dicom_node.reissue import ReissueState
    from dicom_node.report import progress_of

    with progress_of("Proven under new UIDs") as progress:
        while True:
            proven, stuck, total = reissuing.progress(asked.study, asked.destination)
            progress(proven, total)
            found = reissuing.at(asked.study, asked.destination)
            if (
                found is None
                or found.state != ReissueState.SENDING
                or proven + stuck == total > proven
            ):
                break
            time.sleep(_LOOK_EVERY_S)
    click.echo(found.words if found else "undone meanwhile")
    is_done = found and found.state in (ReissueState.REJECTED, ReissueState.NOTHING_LEFT)
    sys.exit(0 if is_done else _EXIT_OPEN)


def _wait_until(is_entered: Callable[[], bool]) -> None:
    """Wait for the delivering process; exit 1 while an order is only on record."""
    deadline = time.monotonic() + _ENTERED_WITHIN_S
    while not is_entered():
        if time.monotonic() > deadline:
            click.echo("on record, and not entered: see lifeboat sync status", err=True)
            sys.exit(_EXIT_OPEN)
        time.sleep(_LOOK_EVERY_S)


def _plain(text: str) -> str:
    """Return a text of a patient for a terminal: nothing in it may steer the terminal."""
    return "".join(mark if mark.isprintable() else "?" for mark in text)
