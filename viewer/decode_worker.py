"""The process that decodes compressed frames, in a cage; run by `viewer.sandbox`.

Decoders are large C libraries that read whatever anybody sent. Here they run without the right to
open a file or a socket, with little memory and little time. Bytes come and samples go through
memory shared with the asking process; whether the samples are to be believed is for that to say.
"""

import contextlib
import json
import mmap
import os
import resource
import signal
import struct
import sys
from typing import Any, BinaryIO, Final

import numpy as np

from viewer import system_calls
from viewer.codecs import CODECS, FrameDecoder, Samples, decode_frame
from viewer.errors import UnsupportedPixels
from viewer.pixel_format import PixelFormat

READY: Final = b"ready"
"""What the worker says once, when the cage is closed."""
REPLY: Final = struct.Struct("<QB2s3L")
"""Number of the job, verdict, type of the samples as numpy writes it, their shape (0 = no axis)."""
DECODED, DAMAGED, CONTRADICTED, TOO_LARGE = range(4)
"""Verdicts."""
TYPES: Final = (b"u1", b"i1", b"u2", b"i2", b"u4", b"i4")
"""Types of samples that codecs give."""

_KEPT_DESCRIPTORS: Final = 3
_MAXIMUM_DESCRIPTORS: Final = 4096


def main() -> None:
    """Decode what is asked for until standard input ends."""
    serve(decode_frame)


def serve(decode: FrameDecoder) -> None:
    """Answer requests with a decoder.

    Parameters
    ----------
    decode : callable
        What decodes.

    Notes
    -----
    Arguments of the process: descriptor and size of the shared memory, process id of the parent,
    memory one job may take, seconds one job may take.
    """
    descriptor, shared_bytes, parent, memory_bytes, timeout_s = map(int, sys.argv[1:])
    shared = mmap.mmap(descriptor, shared_bytes)
    _load_codecs()
    base_bytes = _enter_cage(parent, memory_bytes)
    requests, replies = sys.stdin.buffer, sys.stdout.buffer
    _say(replies, READY)
    while line := requests.readline():
        job = json.loads(line)
        _allow(base_bytes + job["memory_bytes"], timeout_s)
        verdict, samples = _verdict(decode, job, bytes(shared[: job["encoded_bytes"]]))
        if samples is not None and samples.nbytes > shared_bytes:
            verdict, samples = TOO_LARGE, None
        _say(replies, _reply(job["number"], verdict, samples, shared))
        signal.setitimer(signal.ITIMER_REAL, 0)


def _verdict(
    decode: FrameDecoder, job: dict[str, Any], encoded: bytes
) -> tuple[int, Samples | None]:
    try:
        described = PixelFormat(**job["described"])
        return DECODED, decode(job["transfer_syntax_uid"], encoded, described)
    except MemoryError:
        return TOO_LARGE, None
    except UnsupportedPixels as error:
        if error.__cause__ is None:
            return CONTRADICTED, None
        return (TOO_LARGE if isinstance(error.__cause__, MemoryError) else DAMAGED), None


def _reply(number: int, verdict: int, samples: Samples | None, shared: mmap.mmap) -> bytes:
    if samples is None:
        return REPLY.pack(number, verdict, b"", 0, 0, 0)
    np.ndarray(samples.shape, samples.dtype, shared)[...] = samples
    shape = (*samples.shape, 0, 0)[:3]
    return REPLY.pack(number, verdict, samples.dtype.str[1:].encode("ascii"), *shape)


def _say(replies: BinaryIO, words: bytes) -> None:
    replies.write(words)
    replies.flush()


def _load_codecs() -> None:
    """Make each codec load its library: in the cage no file can be opened."""
    tiny = PixelFormat(1, 1, 1, 8, 8, 7, False, "MONOCHROME2", 0)
    for codec in CODECS.values():
        with contextlib.suppress(Exception):
            codec.decode(bytes(64), tiny)


def _enter_cage(parent: int, memory_bytes: int) -> int:
    """Give up what decoding does not need: without a new descriptor there is no file and no net.

    Returns the address space that this process has before its first job, bytes.
    """
    base_bytes = _address_space_bytes()
    os.closerange(_KEPT_DESCRIPTORS, _MAXIMUM_DESCRIPTORS)  # the shared memory stays mapped
    system_calls.end_with_parent(parent)
    limits = {
        resource.RLIMIT_AS: base_bytes + memory_bytes,
        resource.RLIMIT_NOFILE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_CORE: 0,  # a core dump would hold a patient
    }
    for kind, limit in limits.items():
        resource.setrlimit(kind, (limit, limit))
    system_calls.allow_only_what_computing_needs()
    return base_bytes


def _address_space_bytes() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[0]) * resource.getpagesize()


def _allow(memory_bytes: int, seconds: int) -> None:
    """Set the limits of one job; the asking process also counts by its own clock."""
    _, hardest = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (min(memory_bytes, hardest), hardest))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    used_s = int(usage.ru_utime + usage.ru_stime)
    resource.setrlimit(resource.RLIMIT_CPU, (used_s + 1 + seconds, hard))
    signal.setitimer(signal.ITIMER_REAL, seconds + 2)  # ends this process, whoever may be left


if __name__ == "__main__":
    main()
