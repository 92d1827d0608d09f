"""What the commands of several files share: options, settings, who asks."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from dicom_node.settings import Settings

_F = TypeVar("_F", bound=Callable[..., Any])


def settings_options(command: _F) -> _F:
    """Add the options that choose the settings to a command."""
    options = (
        click.option("--config", type=click.Path(path_type=Path), help="A TOML file of settings."),
        click.option("--data", type=click.Path(path_type=Path), help="The data folder."),
        click.option(
            "--set", "overrides", multiple=True, metavar="TABLE.KEY=VALUE", help="One setting."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def settings_of(config: Path | None, data: Path | None, overrides: tuple[str, ...]) -> Settings:
    """Return the settings the options choose; raises BadSettings when they make no sense."""
    from dicom_node.log import configure_logging
    from dicom_node.settings import load_settings

    configure_logging()
    return load_settings(config, data=data, overrides=overrides)


def login_name() -> str:
    """Return who sits at the keyboard, behind sudo too."""
    return os.environ.get("SUDO_USER") or getpass.getuser()
