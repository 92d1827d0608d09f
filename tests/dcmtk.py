"""Sending with DCMTK's programs, and what they say was acknowledged."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pydicom

PROMPT = {**os.environ, "TCP_NODELAY": "1"}
"""DCMTK between two of its own kind waits 40 ms an instance without this."""


def send_by_dcmsend(program: str, port: int, paths: Sequence[Path], folder: Path) -> list[Path]:
    report = folder / "report.txt"
    options = ["-nuc", "-dn", "-nh", "-aec", "LIFEBOAT", "+crf", str(report)]
    subprocess.run(
        [program, *options, "127.0.0.1", str(port), *map(str, paths)],
        env=PROMPT,
        capture_output=True,
        timeout=300,
        check=False,
    )
    stored, current = [], Path()
    for line in report.read_text().splitlines():
        name, _, value = line.partition(":")
        if name.startswith("Filename"):
            current = Path(value.strip())
        elif name.startswith("DIMSE Status") and "Success" in value:
            stored.append(current)
    return stored


def send_by_storescu(program: str, port: int, paths: Sequence[Path], folder: Path) -> list[Path]:
    """Send the files of each transfer syntax together: storescu proposes only what it is told."""
    groups: dict[str, list[Path]] = {}
    for path in paths:
        groups.setdefault(_transfer_syntax(path), []).append(path)
    stored = []
    for transfer_syntax_uid, group in groups.items():
        options = ["-v", "-nh", "-R", *_PROPOSALS.get(transfer_syntax_uid, [])]
        result = subprocess.run(
            [program, *options, "-aec", "LIFEBOAT", "127.0.0.1", str(port), *map(str, group)],
            env=PROMPT,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=120,
            check=False,
        )
        stored += acknowledged_files(result.stdout + result.stderr)
    return stored


def acknowledged_files(log: str) -> list[Path]:
    """Return the files that storescu's own log names as stored."""
    stored, current = [], Path()
    for line in log.splitlines():
        if line.startswith("I: Sending file: "):
            current = Path(line.removeprefix("I: Sending file: ").strip())
        elif "Received Store Response (Success)" in line:
            stored.append(current)
    return stored


def _transfer_syntax(path: Path) -> str:
    return str(pydicom.filereader.read_file_meta_info(path).get("TransferSyntaxUID", ""))


_PROPOSALS = {
    "1.2.840.10008.1.2.1.99": ["-xd"],
    "1.2.840.10008.1.2.4.50": ["-xy"],
    "1.2.840.10008.1.2.4.51": ["-xx"],
    "1.2.840.10008.1.2.4.70": ["-xs"],
    "1.2.840.10008.1.2.4.80": ["-xt"],
    "1.2.840.10008.1.2.4.81": ["-xu"],
    "1.2.840.10008.1.2.4.90": ["-xv"],
    "1.2.840.10008.1.2.4.91": ["-xw"],
    "1.2.840.10008.1.2.5": ["-xr"],
}
"""How storescu is told to propose a compressed transfer syntax."""
