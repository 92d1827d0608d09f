"""A modality in a process of its own: `python -m tests.faults.modality PORT COUNT EDGE_PX`.

For each line on its input it sends so many new CT, and prints the seconds that took. What it sends
is made before the clock starts.
"""

import subprocess
import sys
import time

from tests.conftest import REPOSITORY
from tests.faults.instances import make_instance, new_uid
from tests.faults.sender import SUCCESS, Scu


class Modality:
    """The process, seen from a test; a `with` block ends it."""

    def __init__(self, port: int, count: int, edge_px: int) -> None:
        command = [sys.executable, "-m", "tests.faults.modality"]
        self._process = subprocess.Popen(
            [*command, str(port), str(count), str(edge_px)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._count = count
        self._hear()

    def __enter__(self) -> "Modality":
        return self

    def __exit__(self, *error: object) -> None:
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()

    def send(self) -> float:
        """Send once more; return instances in a second."""
        self._process.stdin.write("send\n")
        self._process.stdin.flush()
        seconds = float(self._hear())
        self._hear()  # the next are made: that is no load on the next figure
        return self._count / seconds

    def _hear(self) -> str:
        line = self._process.stdout.readline()
        assert line, "the modality ended"
        return line


def main(port: str, count: str, edge_px: str) -> None:
    study_uid = new_uid()  # one study, so that it is sent on in one go
    uids = {"study_instance_uid": study_uid, "series_instance_uid": f"{study_uid}.1"}
    while True:
        made = [
            make_instance(number, edge_px=int(edge_px), seed=number, **uids)
            for number in range(int(count))
        ]
        print("ready", flush=True)
        if not sys.stdin.readline():
            return
        with Scu(int(port), timeout_s=120) as scu:
            begin = time.monotonic()
            assert {scu.store(instance).status for instance in made} == {SUCCESS}
            print(time.monotonic() - begin, flush=True)
            scu.release()


if __name__ == "__main__":
    main(*sys.argv[1:])
