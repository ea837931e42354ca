"""The system calls that a decoder never needs, refused by a seccomp filter.

The filter works without privileges and beside the container's own (RuntimeDefault), which it can only narrow. It is a list
of what is refused, since what FFmpeg, Python and the C library call while they decode differs from release to release.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass

from talkingvideo_worker.sandbox.kernel import PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, prctl

SECCOMP_MODE_FILTER = 2

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
"""Instructions of classic BPF (``linux/bpf_common.h``): load a word, three conditional jumps, return."""

NUMBER, ARCHITECTURE, FIRST_ARGUMENT, SECOND_ARGUMENT, THIRD_ARGUMENT = 0, 4, 16, 24, 32
"""Offsets in ``struct seccomp_data``. Both architectures are little-endian: the low word of an argument comes first."""

ALLOW, KILL = 0x7FFF0000, 0x80000000
REFUSE = 0x00050000 | errno.EPERM
ABSENT = 0x00050000 | errno.ENOSYS
"""The C library falls back from ``clone3``, whose flags a filter cannot see, to ``clone``."""

CLONE_THREAD = 0x00010000
O_WRONLY, O_RDWR, O_TRUNC = 0o1, 0o2, 0o1000
F_SETOWN, F_SETOWN_EX = 8, 15
"""Who receives the signals of a descriptor: any process of the same user."""
X32 = 0x40000000
"""Bit of the numbers of x86-64's 32-bit variant."""


@dataclass(frozen=True)
class Architecture:
    """The numbers of one architecture.

    Attributes:
        audit: Its name in ``linux/audit.h``.
        refused: System calls that are refused.
        own_only: System calls that take a process as their first argument: allowed for the caller itself.
        clone: Starts threads, which decoders need, and processes, which they don't.
        opens: System calls that open a file, and the offsets of their flags.
        fcntl: Would send signals, too.
    """

    audit: int
    refused: tuple[int, ...]
    own_only: tuple[int, ...]
    clone: int
    opens: tuple[tuple[int, int], ...]
    fcntl: int
    clone3: int = 435
    openat2: int = 437


SAME_EVERYWHERE = {
    "pidfd_send_signal": 424,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "pidfd_open": 434,
    "pidfd_getfd": 438,
    "process_madvise": 440,
    "mount_setattr": 442,
    "memfd_secret": 447,
    "process_mrelease": 448,
    "fchmodat2": 452,
    "setxattrat": 463,
    "removexattrat": 466,
    "file_setattr": 469,
}

REFUSED = {
    # network and other processes
    "socket": (41, 198),
    "socketpair": (53, 199),
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    # where most holes of the kernel have been
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "vmsplice": (278, 75),
    "personality": (135, 92),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "fanotify_init": (300, 262),
    # files that are there already: Landlock governs neither their attributes nor, before Linux 6.2, their length
    "truncate": (76, 45),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "utimensat": (280, 88),
    # namespaces, mounts and the machine
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "mknodat": (259, 33),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "syslog": (103, 116),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
}
"""Numbers by name: x86-64 (``asm/unistd_64.h``), arm64 (``asm-generic/unistd.h``)."""

ONLY_X86 = {
    "fork": 57,
    "vfork": 58,
    "mknod": 133,
    "iopl": 172,
    "ioperm": 173,
    "chmod": 90,
    "chown": 92,
    "lchown": 94,
    "utime": 132,
    "utimes": 235,
    "futimesat": 261,
}
OWN_ONLY = {"kill": (62, 129), "tgkill": (234, 131), "prlimit64": (302, 261)}

ARCHITECTURES = {
    "x86_64": Architecture(
        audit=0xC000003E,
        refused=(*(x86 for x86, _ in REFUSED.values()), *ONLY_X86.values(), *SAME_EVERYWHERE.values()),
        own_only=tuple(x86 for x86, _ in OWN_ONLY.values()),
        clone=56,
        opens=((2, SECOND_ARGUMENT), (257, THIRD_ARGUMENT)),
        fcntl=72,
    ),
    "aarch64": Architecture(
        audit=0xC00000B7,
        refused=(*(arm for _, arm in REFUSED.values()), *SAME_EVERYWHERE.values()),
        own_only=tuple(arm for _, arm in OWN_ONLY.values()),
        clone=220,
        opens=((56, THIRD_ARGUMENT),),
        fcntl=25,
    ),
}


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(_Instruction)))


def refuse_syscalls() -> None:
    """Filter the system calls of this thread and of those that it starts, irrevocably.

    Raises:
        OSError: The kernel has no seccomp filters, or this architecture has no list.
    """
    architecture = ARCHITECTURES.get(platform.machine())
    if architecture is None:
        raise OSError(errno.ENOSYS, f"no list of system calls for {platform.machine()}")
    install(architecture)


def install(architecture: Architecture) -> None:
    """Filter by a list of this machine's architecture.

    Raises:
        OSError: The kernel has no seccomp filters.
    """
    lines = list(_filter(architecture, os.getpid()))
    instructions = (_Instruction * len(lines))(*(_Instruction(*line) for line in lines))
    program = _Program(len(lines), instructions)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program))


Line = tuple[int, int, int, int]
"""Instruction, lines to jump over if true, lines to jump over if false, operand."""


def _filter(architecture: Architecture, own: int) -> Iterable[Line]:
    yield (LOAD, 0, 0, ARCHITECTURE)
    yield (EQUAL, 1, 0, architecture.audit)
    yield (RETURN, 0, 0, KILL)
    yield (LOAD, 0, 0, NUMBER)
    yield (AT_LEAST, 0, 1, X32)
    yield (RETURN, 0, 0, REFUSE)
    for number in architecture.refused:
        yield (EQUAL, 0, 1, number)
        yield (RETURN, 0, 0, REFUSE)
    for number in (architecture.clone3, architecture.openat2):
        yield (EQUAL, 0, 1, number)
        yield (RETURN, 0, 0, ABSENT)
    yield (EQUAL, 0, 4, architecture.clone)
    yield (LOAD, 0, 0, FIRST_ARGUMENT)
    yield (ANY_BIT, 0, 1, CLONE_THREAD)
    yield (RETURN, 0, 0, ALLOW)
    yield (RETURN, 0, 0, REFUSE)
    for number in architecture.own_only:
        yield (EQUAL, 0, 5, number)
        yield (LOAD, 0, 0, FIRST_ARGUMENT)
        yield (EQUAL, 1, 0, 0)
        yield (EQUAL, 0, 1, own)
        yield (RETURN, 0, 0, ALLOW)
        yield (RETURN, 0, 0, REFUSE)
    for number, flags in architecture.opens:
        yield from _refuse_to_empty(number, flags)
    yield (EQUAL, 0, 5, architecture.fcntl)
    yield (LOAD, 0, 0, SECOND_ARGUMENT)
    yield (EQUAL, 1, 0, F_SETOWN)
    yield (EQUAL, 0, 1, F_SETOWN_EX)
    yield (RETURN, 0, 0, REFUSE)
    yield (RETURN, 0, 0, ALLOW)
    yield (RETURN, 0, 0, ALLOW)


def _refuse_to_empty(number: int, flags: int) -> Iterable[Line]:
    """Refuse ``O_TRUNC`` unless the file is opened to be written, which Landlock allows in the child's folder only.

    An access mode of both bits is neither: such a file can be emptied, and not be written.
    """
    yield (EQUAL, 0, 7, number)
    yield (LOAD, 0, 0, flags)
    yield (ANY_BIT, 0, 4, O_TRUNC)
    yield (ANY_BIT, 0, 1, O_WRONLY)
    yield (ANY_BIT, 1, 2, O_RDWR)
    yield (ANY_BIT, 1, 0, O_RDWR)
    yield (RETURN, 0, 0, REFUSE)
    yield (RETURN, 0, 0, ALLOW)
