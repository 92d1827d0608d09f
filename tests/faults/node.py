"""The node as a patient: in a chosen folder and environment, killed and started again."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.conftest import Node, wait_until
from tests.faults.sender import SUCCESS, Scu


class FaultyNode(Node):
    """A node whose receiving process is to suffer.

    Parameters
    ----------
    folder : Path
        For its log.
    ports : sequence of int
    settings : str
    data : Path, optional
        The data folder, where it is not inside `folder`.
    environment : str
        `NAME=value` for its processes.
    """

    def __init__(
        self,
        folder: Path,
        ports: Sequence[int],
        *settings: str,
        data: Path | None = None,
        environment: Sequence[str] = (),
    ) -> None:
        super().__init__(folder, ports, *settings)
        self.data = data or self.data
        self._environment = environment

    def command(self, name: str, *arguments: str) -> list[str]:
        return ["env", *self._environment, *super().command(name, *arguments)]

    @property
    def receiver(self) -> subprocess.Popen[bytes]:
        return self.processes["receive"]

    def start_and_echo(self) -> float:
        """Start receiving; return the seconds until the first C-ECHO was answered."""
        begin = time.monotonic()
        with self.log.open("ab") as log:
            self.processes["receive"] = subprocess.Popen(
                self.command("receive"), stdout=log, stderr=log
            )
        wait_until(self._is_ready, what="a C-ECHO is answered")
        return time.monotonic() - begin

    def start_halted(self) -> None:
        """Start receiving, but halt before the first step; `proceed` lets it go on."""
        halted = ["sh", "-c", 'kill -STOP $$; exec "$@"', "sh", *self.command("receive")]
        with self.log.open("ab") as log:
            self.processes["receive"] = subprocess.Popen(halted, stdout=log, stderr=log)
        state = Path(f"/proc/{self.receiver.pid}/stat")
        wait_until(lambda: state.read_text().rpartition(")")[2].split()[0] == "T")

    def proceed(self) -> None:
        """Let a halted process go on."""
        self.receiver.send_signal(signal.SIGCONT)

    def answers_echo(self) -> bool:
        with contextlib.suppress(OSError), Scu(self.dicom_port, timeout_s=5) as scu:
            return scu.echo().status == SUCCESS
        return False

    def _is_ready(self) -> bool:
        assert self.receiver.poll() is None, self.log.read_text()
        return self.answers_echo()

    def kill(self, name: str = "receive") -> None:
        super().kill(name)

    def is_dead(self) -> bool:
        """Tell whether the receiving process ended, and forget it if it did."""
        if self.receiver.poll() is None:
            return False
        del self.processes["receive"]
        return True

    def memory(self, kind: str = "VmRSS") -> int:
        """Return a line of /proc/PID/status of the receiving process, in bytes."""
        for line in Path(f"/proc/{self.receiver.pid}/status").read_text().splitlines():
            if line.startswith(kind + ":"):
                return int(line.split()[1]) * 1024
        raise LookupError(kind)

    def cpu_s(self) -> float:
        """Return the processor time the receiving process used so far, seconds."""
        words = Path(f"/proc/{self.receiver.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def threads(self) -> list[int]:
        """Return the thread ids of the receiving process, oldest first."""
        return sorted(map(int, os.listdir(f"/proc/{self.receiver.pid}/task")))

    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.receiver.pid}/fd"))
