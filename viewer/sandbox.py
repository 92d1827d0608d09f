"""Compressed frames are decoded in processes of their own that cannot hurt this one."""

import contextlib
import fcntl
import json
import mmap
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import IO, Final

import numpy as np

from viewer.codecs import Samples, contradicting_picture, damaged_picture, samples_shape
from viewer.decode_worker import CONTRADICTED, DAMAGED, DECODED, READY, REPLY, TOO_LARGE, TYPES
from viewer.errors import UnsafePixels, ViewerError
from viewer.pixel_format import PixelFormat

COMMAND: Final = (sys.executable, "-m", "viewer.decode_worker")
START_TIMEOUT_S: Final = 60.0
"""How long a worker may take to be ready."""
WORKING_BYTES: Final = 64 * 1024**2
"""What a job may take besides what its frame's size explains."""
BYTES_PER_SAMPLE: Final = 24
"""What a job may take for each sample: three times what JPEG 2000, the hungriest, was seen to."""
RETAINED_BYTES: Final = 32 * 1024**2
"""Shared memory that a worker keeps between jobs; what a larger frame took is given back."""

_ENVIRONMENT: Final = ("PATH", "PYTHONPATH", "LANG", "VIRTUAL_ENV")


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What one job may take.

    Parameters
    ----------
    timeout_s : float
        By the clock, seconds; then its process is killed. Of a processor it may take 1 s more.
    memory_bytes : int
        Beyond what the process has when it is ready, and for the bytes that are handed over.
    """

    timeout_s: float = 10.0
    memory_bytes: int = 1024**3

    @property
    def shared_bytes(self) -> int:
        """The largest codestream, and the largest decoded frame, bytes."""
        return self.memory_bytes // 2 // mmap.PAGESIZE * mmap.PAGESIZE

    def memory_of(self, encoded: bytes, described: PixelFormat) -> int:
        """Return what decoding a frame may take, by its own size, bytes."""
        samples = described.rows * described.columns * described.samples_per_pixel
        wanted = WORKING_BYTES + BYTES_PER_SAMPLE * samples + 2 * len(encoded)
        return min(self.memory_bytes, wanted)


class WorkerLost(Exception):
    """A worker has died, hangs or answers nonsense; it must not be asked again."""


class WorkerDied(WorkerLost):
    """It has died, of the frame or of something else."""


class DecodeWorker:
    """One caged process, not to be shared between threads.

    Parameters
    ----------
    limits : DecodeLimits
    command : sequence of str
        What runs `viewer.decode_worker.serve`; the arguments that it needs are added.

    Raises
    ------
    OSError
        The process cannot be started.

    Notes
    -----
    The process lives no longer than the thread that made this object: it must outlast it.
    """

    def __init__(self, limits: DecodeLimits, command: Sequence[str] = COMMAND) -> None:
        self._limits = limits
        self.jobs = 0
        descriptor = _shared_file(limits.shared_bytes)
        try:
            self._shared = mmap.mmap(descriptor, limits.shared_bytes)
            self._process = _start(command, descriptor, limits)
        finally:
            os.close(descriptor)
        self._replies = _pipe(self._process.stdout).fileno()

    @property
    def process_id(self) -> int:
        """Its number, for tests and people who look."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.poll() is not None

    def wait_until_ready(self) -> None:
        """Wait until the worker has closed its cage.

        Raises
        ------
        WorkerLost
            It has ended, or is not ready in time.
        """
        if self._read(len(READY), START_TIMEOUT_S) != READY:
            raise WorkerLost

    def decode(self, transfer_syntax_uid: str, encoded: bytes, described: PixelFormat) -> Samples:
        """Decode one frame.

        Parameters
        ----------
        transfer_syntax_uid, encoded, described
            As `viewer.codecs.decode_frame`; both sizes within `DecodeLimits.shared_bytes`.

        Returns
        -------
        numpy.ndarray
            As `viewer.codecs.decode_frame`, in memory of this process.

        Raises
        ------
        UnsupportedPixels
            As `viewer.codecs.decode_frame`.
        UnsafePixels
            It would have taken too much memory.
        WorkerLost
            There is no answer to be believed.
        """
        self.jobs += 1
        self._shared[: len(encoded)] = encoded
        self._send(transfer_syntax_uid, encoded, described)
        samples = self._samples(self._read(REPLY.size, self._limits.timeout_s), described)
        if max(len(encoded), samples.nbytes) > RETAINED_BYTES:
            self._give_back()
        return samples

    def end(self) -> int:
        """Kill the process, however busy it is, and return its exit code."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                _pipe(pipe).close()
        self._shared.close()
        return self._process.wait()

    def _send(self, transfer_syntax_uid: str, encoded: bytes, described: PixelFormat) -> None:
        job = {
            "number": self.jobs,
            "transfer_syntax_uid": transfer_syntax_uid,
            "encoded_bytes": len(encoded),
            "described": asdict(described),
            "memory_bytes": self._limits.memory_of(encoded, described),
        }
        requests = _pipe(self._process.stdin)
        try:
            requests.write(json.dumps(job).encode("ascii") + b"\n")
            requests.flush()
        except OSError as error:
            raise WorkerDied from error

    def _read(self, length: int, timeout_s: float) -> bytes:
        """Read an answer of known length; all of it must come within the time."""
        deadline = time.monotonic() + timeout_s
        waiting = select.poll()
        waiting.register(self._replies, select.POLLIN)
        answer = b""
        while len(answer) < length:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not waiting.poll(left_s * 1000):
                raise WorkerLost
            part = os.read(self._replies, length - len(answer))
            if not part:
                raise WorkerDied
            answer += part
        return answer

    def _samples(self, reply: bytes, described: PixelFormat) -> Samples:
        """Take the answer for what it is: the word of a process that read hostile bytes."""
        number, verdict, kind, *axes = REPLY.unpack(reply)
        if number != self.jobs:
            raise WorkerLost
        if verdict != DECODED:
            raise _refusal(verdict)
        shape = samples_shape(described)
        if kind not in TYPES or (*shape, 0, 0)[:3] != tuple(axes):
            raise WorkerLost
        dtype = np.dtype(f"<{kind.decode('ascii')}")
        count = int(np.prod(shape))
        if count * dtype.itemsize > self._limits.shared_bytes:
            raise WorkerLost
        # a copy: the memory is the worker's as well, and the next frame's
        return np.frombuffer(self._shared, dtype, count).reshape(shape).copy()

    def _give_back(self) -> None:
        rest_bytes = self._limits.shared_bytes - RETAINED_BYTES
        if hasattr(mmap, "MADV_REMOVE"):
            self._shared.madvise(mmap.MADV_REMOVE, RETAINED_BYTES, rest_bytes)


def _refusal(verdict: int) -> ViewerError | WorkerLost:
    refusals = {
        DAMAGED: damaged_picture,
        CONTRADICTED: contradicting_picture,
        TOO_LARGE: unsafe_picture,
    }
    return refusals[verdict]() if verdict in refusals else WorkerLost()


def unsafe_picture() -> UnsafePixels:
    """Return the error of a frame that cost a worker its life, or would have."""
    return UnsafePixels(
        "The compressed picture of this object could not be decoded safely, so it is not shown."
        " It is stored safely and goes to the PACS as it is; open it there."
    )


def _start(
    command: Sequence[str], descriptor: int, limits: DecodeLimits
) -> subprocess.Popen[bytes]:
    facts = (
        descriptor,
        limits.shared_bytes,
        os.getpid(),
        limits.memory_bytes,
        max(1, round(limits.timeout_s)),
    )
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    return subprocess.Popen(
        [*command, *map(str, facts)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # a library may quote what it reads
        pass_fds=(descriptor,),
        env=environment | {"OPENBLAS_NUM_THREADS": "1"},
        start_new_session=True,  # Ctrl-C is for us: what is under way is finished first
    )


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None  # pipes were asked for
    return pipe


def _shared_file(size_bytes: int) -> int:
    """Return a descriptor of memory without a name, which no process can make shorter or longer.

    Nothing is taken before it is used. One that could be made shorter would let a worker kill us.
    """
    if not hasattr(os, "memfd_create"):
        with tempfile.TemporaryFile() as file:
            file.truncate(size_bytes)
            return os.dup(file.fileno())
    descriptor = os.memfd_create("decode", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, size_bytes)
    seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    return descriptor
