"""The commands of the return to the PACS: `lifeboat sync ...`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dicom_node.accept_command import accept
from dicom_node.command_line import login_name, settings_of, settings_options
from dicom_node.reissue_command import reissue

if TYPE_CHECKING:
    from dicom_node.delivery_report import Report
    from dicom_node.settings import Settings

_EXIT_OPEN = 1
_Path = Path | None
_Texts = tuple[str, ...]


@click.group()
def sync() -> None:
    """Look at the return of images to the PACS, steer it, and hand in the proof.

    \b
    Exit codes of all: 0 nothing is open (or it is done), 1 something is open,
                       2 bad settings or a damaged file.
    """


sync.add_command(accept)
sync.add_command(reissue)


@sync.command("status")
@settings_options
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@click.option("--wait", is_flag=True, help="Show the progress until nothing waits any more.")
def sync_status(config: _Path, data: _Path, overrides: _Texts, as_json: bool, wait: bool) -> None:
    """Show how far each study has come at each PACS; exit 1 while something is unproven.

    \b
    Example: lifeboat sync status
             lifeboat sync status --wait     a bar for each PACS, until all is proven
    """
    settings = settings_of(config, data, overrides)
    from dicom_node.clock import stamp, utc_now
    from dicom_node.report import print_sync_status
    from dicom_node.sync_status import follow, read_status

    status = follow(settings) if wait else read_status(settings)
    if as_json:
        click.echo(json.dumps(status.as_json(), indent=1))
    else:
        print_sync_status(
            status.destinations,
            status.studies,
            status.not_queued_yet,
            today=stamp(utc_now())[:10],
            pauses=status.pauses,
        )
    sys.exit(_EXIT_OPEN if status.is_open else 0)


def _order_options(command: Callable[..., None]) -> Callable[..., None]:
    options = (
        settings_options,
        click.option("--pacs", default="", metavar="NAME", help="Only this one; else all."),
        click.option("--reason", default="", help="Why; on record, so no patient names."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@sync.command()
@_order_options
def pause(config: _Path, data: _Path, overrides: _Texts, pacs: str, reason: str) -> None:
    """Send nothing to a PACS until `start`. What it says of itself is still asked.

    \b
    Example: lifeboat sync pause --pacs central --reason "they migrate the database"
    A running process obeys within seconds; what was on its way is asked for later.
    """
    _give("pause", settings_of(config, data, overrides), pacs, reason)
    click.echo(f"nothing is sent to {pacs or 'any PACS'} until: lifeboat sync start")


@sync.command()
@_order_options
def start(config: _Path, data: _Path, overrides: _Texts, pacs: str, reason: str) -> None:
    """Send again after `pause`.

    \b
    Example: lifeboat sync start --reason "migration is done"
    """
    _give("start", settings_of(config, data, overrides), pacs, reason)
    click.echo(f"images are sent to {pacs or 'every PACS'}")


@sync.command()
@_order_options
@click.option("--study", default="", metavar="UID", help="Only this study; else all.")
def retry(
    config: _Path, data: _Path, overrides: _Texts, pacs: str, reason: str, study: str
) -> None:
    """Send once more what a PACS refused, or what is held because of a correction.

    \b
    Example: lifeboat sync retry --study 1.2.3.4 --reason "the PACS takes this class now"
    Before a correction is sent, the PACS is asked once more whether that would split the study.
    What is held because one UID has two contents stays held: retrying chooses none of them.
    """
    settings = settings_of(config, data, overrides)
    from dicom_node.sync_status import count_refused

    count = count_refused(settings, pacs, study)
    _give("retry", settings, pacs, reason, study)
    click.echo(f"{count} refused or held deliveries are tried once more")


@sync.command()
@_order_options
@click.option("--study", default="", metavar="UID", help="Only this study; else all.")
def verify(
    config: _Path, data: _Path, overrides: _Texts, pacs: str, reason: str, study: str
) -> None:
    """Ask a PACS now whether it still has what it vouched for; what it lost is sent again.

    \b
    Example: lifeboat sync verify --reason "the PACS was restored from a copy"
    """
    settings = settings_of(config, data, overrides)
    _give("verify", settings, pacs, reason, study)
    click.echo("the PACS is asked, a study at a time; lifeboat sync status shows what it lacks")


def _give(kind: str, settings: Settings, pacs: str, reason: str, study: str = "") -> None:
    from dicom_node.sync_order import OrderKind, SyncOrders

    SyncOrders(settings.node.data).give(
        OrderKind(kind),
        by=login_name(),
        reason=reason,
        destination=pacs,
        study_instance_uid=study,
        known=[one.name for one in settings.pacs],
    )


@sync.command()
@settings_options
@click.option("--study", default="", metavar="UID", help="Only this study, with its instances.")
@click.option("--outage", default="", metavar="N", help="Only this outage: its number, or last.")
@click.option(
    "--format", "form", type=click.Choice(("text", "html", "csv", "json")), default="text"
)
@click.option("--output", type=click.Path(path_type=Path), help="A file; else standard output.")
def report(
    config: _Path,
    data: _Path,
    overrides: _Texts,
    study: str,
    outage: str,
    form: str,
    output: _Path,
) -> None:
    """Write what became of every image: received = proven + waiting + needs a person.

    \b
    Example: lifeboat sync report
             lifeboat sync report --outage last --format csv --output outage.csv
             lifeboat sync report --study 1.2.3.4 --format html --output study.html
    Exits 0 when nothing is open, 1 when something is.
    """
    settings = settings_of(config, data, overrides)
    from dicom_node.delivery_report import Scope, open_report

    with open_report(settings, Scope(study, outage)) as found:
        _write(_pieces(found, form, settings), output)
        sys.exit(0 if found.totals.is_closable else _EXIT_OPEN)


def _pieces(found: Report, form: str, settings: Settings) -> Iterable[str]:
    from dicom_node import report_files, report_page
    from dicom_node.closing import Closings

    if form == "csv":
        return report_files.csv_pieces(found)
    if form == "json":
        return report_files.json_pieces(found)
    began_at = found.outage.began_at if found.outage else ""
    closing = Closings(settings.node.data).last(began_at)
    if form == "html":
        return report_page.page_pieces(found, closing)
    return report_files.text_pieces(found, closing)


def _write(pieces: Iterable[str], output: _Path) -> None:
    if output is None:
        for piece in pieces:
            sys.stdout.write(piece)
        return
    fresh = output.with_name(f"{output.name}.new")
    with fresh.open("w", encoding="utf-8", newline="") as file:
        file.writelines(pieces)
    fresh.replace(output)


@sync.command()
@settings_options
@click.option("--outage", default="last", show_default=True, metavar="N", help="Its number.")
@click.option("--name", required=True, help="Who signs: your name.")
def close(config: _Path, data: _Path, overrides: _Texts, outage: str, name: str) -> None:
    """Sign that an outage is closed: only when every image of it is proven.

    \b
    Example: lifeboat sync close --outage last --name "A. Jones, PACS manager"
    Images that arrive later open it again, visibly.
    """
    settings = settings_of(config, data, overrides)
    from dicom_node.closing import Closings, open_words
    from dicom_node.delivery_report import Scope, open_report

    with open_report(settings, Scope(outage=outage)) as found:
        for _ in found.studies():
            pass
        if words := open_words(found):
            click.echo(f"not closed: {words}", err=True)
            sys.exit(_EXIT_OPEN)
        closing = Closings(settings.node.data).sign(found, name)
    click.echo(f"closed by {closing.signed_by} at {closing.signed_at}: {closing.received} proven")


@sync.command()
@settings_options
@click.option("--json", "as_json", is_flag=True, help="For scripts: one line for each instance.")
def evictable(config: _Path, data: _Path, overrides: _Texts, as_json: bool) -> None:
    """Show what could go from this disk because every PACS proved it; nothing is deleted.

    \b
    Example: lifeboat sync evictable
             lifeboat sync evictable --json
    Exits 0 when everything could go, 1 when something must stay.
    """
    settings = settings_of(config, data, overrides)
    from collections import Counter
    from dataclasses import asdict

    from dicom_node.eviction import judge_instances

    sizes: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for judged in judge_instances(settings):
        counts[judged.reason] += 1
        sizes[judged.reason] += judged.size_bytes
        if as_json:
            click.echo(json.dumps(asdict(judged)))
    if not as_json:
        click.echo(f"{counts['']} instances could go, {sizes[''] / 1e9:.1f} GB")
        for reason, number in sorted(counts.items()):
            if reason:
                click.echo(f"{number} stay, {sizes[reason] / 1e9:.1f} GB: {reason}")
    sys.exit(_EXIT_OPEN if set(counts) - {""} else 0)
