"""What a Linux process may ask of its kernel, narrowed for good; elsewhere nothing is done."""

import ctypes
import os
import platform
import signal
import struct
import sys
from collections.abc import Sequence
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_SECCOMP: Final = 22
_PR_SET_NO_NEW_PRIVS: Final = 38
_SECCOMP_MODE_FILTER: Final = 2
_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050000 | 1  # the call fails with EPERM

_LOAD_WORD: Final = 0x20
_JUMP_IF_EQUAL: Final = 0x15
_RETURN: Final = 0x06
_CALL_OFFSET, _ARCHITECTURE_OFFSET, _FIRST_ARGUMENT_OFFSET = 0, 4, 16

_CALLS: Final[dict[str, tuple[int, dict[str, int]]]] = {
    "x86_64": (
        0xC000003E,
        {
            "read": 0,
            "write": 1,
            "mmap": 9,
            "mprotect": 10,
            "munmap": 11,
            "brk": 12,
            "rt_sigaction": 13,
            "rt_sigprocmask": 14,
            "rt_sigreturn": 15,
            "sched_yield": 24,
            "mremap": 25,
            "madvise": 28,
            "setitimer": 38,
            "exit": 60,
            "gettimeofday": 96,
            "getrusage": 98,
            "futex": 202,
            "restart_syscall": 219,
            "clock_gettime": 228,
            "clock_nanosleep": 230,
            "exit_group": 231,
            "prlimit64": 302,
            "getrandom": 318,
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            "read": 63,
            "write": 64,
            "exit": 93,
            "exit_group": 94,
            "futex": 98,
            "setitimer": 103,
            "clock_gettime": 113,
            "clock_nanosleep": 115,
            "sched_yield": 124,
            "restart_syscall": 128,
            "rt_sigaction": 134,
            "rt_sigprocmask": 135,
            "rt_sigreturn": 139,
            "getrusage": 165,
            "gettimeofday": 169,
            "brk": 214,
            "munmap": 215,
            "mremap": 216,
            "mmap": 222,
            "mprotect": 226,
            "madvise": 233,
            "prlimit64": 261,
            "getrandom": 278,
        },
    ),
}
"""What computing needs: the kernel's number of the architecture, and of each call there."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def end_with_parent(parent: int) -> None:
    """Have this process killed as soon as the thread that started it has ended.

    Parameters
    ----------
    parent : int
        Process id of the parent; when it is gone already, this process ends here.
    """
    if sys.platform == "linux":
        _control(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def allow_only_what_computing_needs() -> bool:
    """Refuse every system call but those for memory, time, ending, and reading and writing.

    Other calls fail with EPERM, whatever user this is. There is no way back.

    Returns
    -------
    bool
        Whether the kernel took it; False on other systems and architectures.
    """
    if sys.platform != "linux" or platform.machine() not in _CALLS:
        return False
    architecture, calls = _CALLS[platform.machine()]
    instructions = filter_program(architecture, list(calls.values()), calls["prlimit64"])
    program = _Program(len(instructions) // 8, instructions)
    return _control(_PR_SET_NO_NEW_PRIVS, 1) and _control(
        _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(program)
    )


def filter_program(architecture: int, calls: Sequence[int], own_process_only: int) -> bytes:
    """Return a classic BPF program that allows calls of one architecture.

    Parameters
    ----------
    architecture : int
        The kernel's number of it; calls of another are refused.
    calls : sequence of int
        At most 200 numbers of allowed calls.
    own_process_only : int
        The one among them that is allowed only with 0 as its first argument.

    Returns
    -------
    bytes
    """
    simple = [call for call in calls if call != own_process_only]
    program = [
        (_LOAD_WORD, 0, 0, _ARCHITECTURE_OFFSET),
        (_JUMP_IF_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _REFUSE),
        (_LOAD_WORD, 0, 0, _CALL_OFFSET),
        # each jumps over what is left of the list and the four lines behind it
        *((_JUMP_IF_EQUAL, len(simple) - n + 3, 0, call) for n, call in enumerate(simple)),
        (_JUMP_IF_EQUAL, 0, 2, own_process_only),
        (_LOAD_WORD, 0, 0, _FIRST_ARGUMENT_OFFSET),
        (_JUMP_IF_EQUAL, 1, 0, 0),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("<HBBL", *instruction) for instruction in program)


def _control(option: int, argument: int, address: int = 0) -> bool:
    # the C library was loaded with Python itself, so no file is opened
    return bool(ctypes.CDLL(None).prctl(option, argument, ctypes.c_void_p(address), 0, 0) == 0)
