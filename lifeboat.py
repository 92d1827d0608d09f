"""The front door of Lifeboat: its command line.

Every command imports the rooms it needs when it runs, so that `--help` is quick and the small
processes stay small.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dicom_node.command_line import login_name, settings_of, settings_options
from dicom_node.sync_command import sync

if TYPE_CHECKING:
    from dicom_node.settings import Settings

EXIT_FAILED = 1
EXIT_BAD_SETTINGS = 2
_STOP_MARGIN_S = 5.0


def main() -> None:
    """Run the command line; every error of ours is one clear line."""
    from dicom_node.errors import NodeError

    try:
        cli(standalone_mode=False)
    except NodeError as error:
        _fail(str(error), EXIT_BAD_SETTINGS)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _fail("stopped", 130)


def _fail(message: str, code: int) -> None:
    click.echo(f"lifeboat: {message}", err=True)
    sys.exit(code)


def _arguments(config: Path | None, data: Path | None, overrides: tuple[str, ...]) -> list[str]:
    arguments = [f"--config={config}"] if config else []
    arguments += [f"--data={data}"] if data else []
    return arguments + [f"--set={override}" for override in overrides]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="lifeboat")
def cli() -> None:
    """Receive, keep, show and return DICOM images when the PACS is out of reach.

    \b
    Try it:      lifeboat demo
    Run a node:  lifeboat run --data /srv/lifeboat \\
                   --set pacs.host=10.0.0.5 --set pacs.ae_title=PACS
    """


@cli.command()
@settings_options
def run(config: Path | None, data: Path | None, overrides: tuple[str, ...]) -> None:
    """Run the node: receive, web and sync, each restarted when it dies.

    \b
    Example: lifeboat run --config /etc/lifeboat.toml
    Ctrl-C or SIGTERM stops it; running transfers are finished first.
    """
    settings = settings_of(config, data, overrides)
    from dicom_node.checks import require_startable
    from dicom_node.supervisor import Supervisor

    require_startable(settings)
    arguments = _arguments(config, data, overrides)
    commands = {
        name: [sys.executable, "-m", "lifeboat", name, *arguments]
        for name in ("receive", "web", "sync-worker")
    }
    drain_s = settings.dicom.drain_timeout_s + _STOP_MARGIN_S
    supervisor = Supervisor(commands, drain_timeout_s=drain_s)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: supervisor.stop())
    sys.exit(supervisor.run(lambda: _is_up(settings), lambda: _announce(settings)))


def _is_up(settings: Settings) -> bool:
    from dicom_node.checks import is_listening

    return is_listening(settings.dicom.host, settings.dicom.port) and is_listening(
        settings.web.host, settings.web.port
    )


def _announce(settings: Settings) -> None:
    dicom = settings.dicom
    click.echo(f"Lifeboat is up. Data in {settings.node.data.resolve()}")
    click.echo(f"  Scanners send to   {dicom.ae_title} at {dicom.host} port {dicom.port}")
    if settings.tls.is_wanted:
        click.echo(
            f"  or by TLS to       {dicom.ae_title} at {dicom.host} port {settings.tls.port}"
        )
    click.echo(f"  Studies board      http://{settings.web.host}:{settings.web.port}/")
    for pacs in settings.pacs:
        click.echo(f"  Returns images to  {pacs.ae_title} at {pacs.host} port {pacs.port}")
    if not settings.pacs:
        click.echo("  Returns images to  nobody yet: set pacs.host, pacs.port, pacs.ae_title")


@cli.command()
@settings_options
def receive(config: Path | None, data: Path | None, overrides: tuple[str, ...]) -> None:
    """Run the receiving process alone: DICOM port and inbox.

    \b
    Example: lifeboat receive --data /srv/lifeboat
    """
    settings = settings_of(config, data, overrides)
    from dicom_node.process import run_until_stopped
    from dicom_node.receiver import Receiver

    receiver = Receiver(settings)
    run_until_stopped(receiver.start, receiver.stop)
    sys.exit(EXIT_FAILED if receiver.has_failed else 0)


@cli.command()
@settings_options
def web(config: Path | None, data: Path | None, overrides: tuple[str, ...]) -> None:
    """Run the web process alone: pages and DICOMweb.

    \b
    Example: lifeboat web --data /srv/lifeboat --set web.port=8081
    """
    settings = settings_of(config, data, overrides)
    from dicom_node.process import stop_with_supervisor
    from web.server import serve

    stop_with_supervisor()
    serve(settings)


@cli.command("sync-worker")
@settings_options
def sync_worker(config: Path | None, data: Path | None, overrides: tuple[str, ...]) -> None:
    """Run the delivering process alone.

    \b
    Example: lifeboat sync-worker --data /srv/lifeboat --set pacs.host=10.0.0.5
    """
    settings = settings_of(config, data, overrides)
    from dicom_node.process import run_until_stopped, stand_behind_reception
    from dicom_node.sync import SyncService

    stand_behind_reception()
    decompress = (sys.executable, "-m", "viewer.decompress")
    service = SyncService(settings, decompress=decompress)
    run_until_stopped(service.start, service.stop)


@cli.command()
@click.option("--once", is_flag=True, help="Play the story without a screen, verify it, end.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=Path("lifeboat-demo"),
    show_default=True,
    help="Where the demonstration keeps its things; emptied first.",
)
@click.option("--slices", default=120, show_default=True, help="Slices of the phantom head CT.")
def demo(once: bool, data: Path, slices: int) -> None:
    """Play an outage with a practice scanner and a practice PACS.

    \b
    Example: lifeboat demo          plays, then stays up so that you can look
             lifeboat demo --once   plays, verifies every step, exits 0 or 1
    """
    from sample_data.demo import play

    sys.exit(play(data, slices=slices, stay=not once))


@cli.command()
@settings_options
def check(config: Path | None, data: Path | None, overrides: tuple[str, ...]) -> None:
    """Check settings, disk, ports and PACS; exit 1 when something would not work.

    \b
    Example: lifeboat check --config /etc/lifeboat.toml
    """
    settings = settings_of(config, data, overrides)
    from dicom_node.checks import run_checks

    results = run_checks(settings)
    marks = {"ok": ("ok  ", "green"), "warning": ("note", "yellow"), "failed": ("FAIL", "red")}
    for result in results:
        mark, colour = marks[result.outcome]
        click.echo(f"{click.style(mark, fg=colour)}  {result.name}: {result.words}")
    sys.exit(EXIT_FAILED if any(result.outcome == "failed" for result in results) else 0)


@cli.command()
@settings_options
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
def status(
    config: Path | None, data: Path | None, overrides: tuple[str, ...], as_json: bool
) -> None:
    """Show what the node holds and whether it runs; exit 1 when it does not.

    \b
    Example: lifeboat status --json
    """
    settings = settings_of(config, data, overrides)
    from dicom_node.checks import node_status
    from dicom_node.report import print_status

    found = node_status(settings)
    if as_json:
        click.echo(json.dumps(found, indent=1))
    else:
        print_status(found)
    sys.exit(0 if found["is_receiving"] and found["is_serving"] else EXIT_FAILED)


@cli.command()
@settings_options
def reindex(config: Path | None, data: Path | None, overrides: tuple[str, ...]) -> None:
    """Build the index anew from the stored files; the node must be stopped.

    \b
    Example: lifeboat reindex --data /srv/lifeboat
    """
    settings = settings_of(config, data, overrides)
    from dicom_node.receiver import reindex as build_index
    from dicom_node.report import progress_of

    with progress_of("Reading stored instances") as progress:
        total = build_index(settings, progress)
    click.echo(f"{total} instances indexed")


@cli.command()
@settings_options
def scrub(config: Path | None, data: Path | None, overrides: tuple[str, ...]) -> None:
    """Read every stored file once and compare it with its digest; exit 1 when one is damaged.

    \b
    Example: lifeboat scrub --data /srv/lifeboat
    Nothing is changed; the node may be running. It does the same slowly, all the time.
    """
    settings = settings_of(config, data, overrides)
    from dicom_node.report import progress_of
    from dicom_node.scrub import find_damaged

    with progress_of("Reading stored files") as progress:
        damaged = list(find_damaged(settings.node.data, progress))
    for path in damaged:
        click.echo(f"damaged: {path}")
    click.echo(f"{len(damaged)} damaged files" if damaged else "every stored file is sound")
    sys.exit(EXIT_FAILED if damaged else 0)


@cli.command()
@settings_options
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--to", "to", required=True, metavar="HOST:PORT", help="Where to send.")
@click.option("--aet", required=True, help="AE title of the receiver.")
def send(
    config: Path | None,
    data: Path | None,
    overrides: tuple[str, ...],
    paths: tuple[Path, ...],
    to: str,
    aet: str,
) -> None:
    """Send DICOM files or folders of them by C-STORE, as they are.

    \b
    Example: lifeboat send ./case-12 --to 10.0.0.5:104 --aet PACS
    """
    settings = settings_of(config, data, overrides)
    from dicom_node.report import progress_of
    from dicom_node.sender import parse_peer, send_files

    peer = parse_peer(to, aet)
    with progress_of("Sending") as progress:
        report = send_files(paths, peer, settings.dicom.ae_title, progress)
    for line in report.problems:
        click.echo(line, err=True)
    click.echo(f"{report.stored} of {report.total} instances stored by {aet}")
    sys.exit(0 if report.total and report.stored == report.total else EXIT_FAILED)


@cli.command()
@settings_options
@click.argument("action", type=click.Choice(("status", "outage", "drill", "trial", "auto")))
@click.option("--reason", default="", help="Why: shown on every page, so no patient names.")
@click.option("--for", "duration", default="", help="How long: 8h, 90m; a drill lasts 4h.")
@click.option("--json", "as_json", is_flag=True, help="The status for scripts.")
def mode(
    config: Path | None,
    data: Path | None,
    overrides: tuple[str, ...],
    action: str,
    reason: str,
    duration: str,
    as_json: bool,
) -> None:
    """Show whether the PACS counts as down, or say it: an outage, a drill, or as probes find it.

    \b
    Example: lifeboat mode status          exits 1 unless the mode is normal
             lifeboat mode outage --reason "PACS update" --for 8h
             lifeboat mode drill --reason "rehearsal in theatre 3"
             lifeboat mode trial           a PACS that is back may be given a test image
             lifeboat mode auto
    The node may run on. Delivery goes on whenever the PACS answers. A drill hides no outage.
    """
    settings = settings_of(config, data, overrides)
    from dicom_node.mode_order import ModeOrders
    from dicom_node.mode_state import read_mode
    from dicom_node.outage_mode import Mode
    from dicom_node.report import print_mode
    from dicom_node.unknown_switch import parse_duration

    orders = ModeOrders(settings.node.data)
    if action == "auto":
        orders.withdraw(by=login_name(), reason=reason)
    elif action == "trial":
        orders.allow_trial(by=login_name(), reason=reason)
    elif action != "status":
        seconds = parse_duration(duration) if duration else 0.0
        orders.give(Mode(action), by=login_name(), reason=reason, duration_s=seconds)
    print_mode(settings.node.data, as_json=as_json)
    if action == "status" and read_mode(settings.node.data).mode is not Mode.NORMAL:
        sys.exit(EXIT_FAILED)


@cli.group()
def modalities() -> None:
    """Show who may send to this node; let unknown scanners in on the worst day.

    \b
    Example: lifeboat modalities list
    """


@modalities.command("list")
@settings_options
def modalities_list(config: Path | None, data: Path | None, overrides: tuple[str, ...]) -> None:
    """Show who may call the DICOM port and what each may do.

    \b
    Example: lifeboat modalities list
    """
    settings = settings_of(config, data, overrides)
    from dicom_node.report import print_modalities
    from dicom_node.unknown_switch import UnknownSwitch

    print_modalities(settings, UnknownSwitch(settings.node.data).opening())


@modalities.command("accept-unknown")
@settings_options
@click.option("--for", "duration", default="4h", show_default=True, help="How long: 4h, 90m.")
@click.option("--reason", default="", help="Why; it is kept on record.")
@click.option("--off", is_flag=True, help="Accept them no longer.")
def accept_unknown(
    config: Path | None,
    data: Path | None,
    overrides: tuple[str, ...],
    duration: str,
    reason: str,
    off: bool,
) -> None:
    """Accept scanners that are not listed, for some hours; the node may run on.

    \b
    Example: lifeboat modalities accept-unknown --for 4h --reason "CT from the van"
             lifeboat modalities accept-unknown --off
    """
    settings = settings_of(config, data, overrides)
    from dicom_node.unknown_switch import UnknownSwitch, parse_duration

    switch = UnknownSwitch(settings.node.data)
    if off:
        switch.close(by=login_name(), reason=reason)
        click.echo("unknown scanners are refused")
        return
    opening = switch.open(parse_duration(duration), by=login_name(), reason=reason)
    click.echo(f"unknown scanners are accepted until {opening.until}")
    if not settings.modalities:
        click.echo("no modality is listed, so everyone was accepted before, too", err=True)


cli.add_command(sync)


if __name__ == "__main__":
    main()
