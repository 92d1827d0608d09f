"""Migrates copies of a ledger, each killed at a later step; a process of its own, to be forked.

Prints, as JSON, the version each killed copy was left with.
"""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import sqlalchemy as sa

from dicom_node import ledger_migration
from dicom_node.database import writer_engine
from dicom_node.ledger_schema import prepare_ledger
from tests.dicom_node.first_ledger import version

assert ledger_migration, "imported before the fork, so that only its steps are counted"


def main(source: Path, folder: Path) -> None:
    versions: list[str] = []
    is_killed = True
    while is_killed:
        path = folder / f"{len(versions):03}" / "ledger.sqlite"
        path.parent.mkdir()
        shutil.copyfile(source, path)
        child = os.fork()
        if child == 0:
            migrate(path, steps=len(versions) + 1)
        is_killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
        versions.append(version(path))
    print(json.dumps(versions))


def migrate(path: Path, steps: int) -> None:
    """Migrate, and die by SIGKILL after so many statements and changes of the folder."""
    left = steps

    def step(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    engine = writer_engine(path)
    for name in ("after_cursor_execute", "commit"):
        sa.event.listen(engine, name, step)
    changes = ("os.rename", "os.remove", "open", "sqlite3.connect")
    sys.addaudithook(lambda event, _: step() if event in changes else None)
    prepare_ledger(engine, path)
    os._exit(0)


main(*map(Path, sys.argv[1:]))
