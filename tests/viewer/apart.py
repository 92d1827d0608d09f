"""Draw files, each in a process of its own whose memory and time are limited.

Run as `python -m tests.viewer.apart NEIGHBOUR FILE...`; writes one line of JSON for each file.
"""

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

from viewer.decode import open_instance
from viewer.errors import ViewerError
from viewer.frame_info import frame_info
from viewer.render import render_frame, thumbnail

CPU_S = 10
ADDRESS_BYTES = 600 * 2**20
"""How much address space a picture may take beyond what the idle process has."""


def draw(path: Path) -> str:
    """Ask for everything a page asks for; return the code of the refusal, '' for a picture."""
    try:
        instance = open_instance(path)
        json.dumps(frame_info(instance, 1), allow_nan=False)
        render_frame(instance, 1, media_type="image/png")
        thumbnail(instance, 1)
    except ViewerError as error:
        return error.code
    return ""


def measured(path: Path, neighbour: Path) -> dict[str, Any]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    code = draw(path)
    growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    is_well = draw(neighbour) == ""
    return {"code": code, "growth": growth, "neighbour": is_well}


def limit() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * os.sysconf("SC_PAGE_SIZE") + ADDRESS_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))


def draw_apart(path: Path, neighbour: Path) -> dict[str, Any]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        limit()
        os.write(writing, json.dumps(measured(path, neighbour)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    return json.loads(answer) if status == 0 else {"ended": status}


def main(neighbour: str, *names: str) -> None:
    for name in names:
        print(json.dumps(draw_apart(Path(name), Path(neighbour))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
