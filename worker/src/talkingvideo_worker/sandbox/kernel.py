"""The C library's door to the kernel, for what Python has no function for."""

from __future__ import annotations

import ctypes
import os

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 22, 38
"""Numbers of ``linux/prctl.h``."""

_LIBC = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, *arguments: object) -> None:
    """Call ``prctl(2)``.

    Raises:
        OSError: The kernel refuses.
    """
    padded = [*arguments, 0, 0, 0, 0][:4]
    _checked(_LIBC.prctl(option, *(ctypes.c_ulong(each) if isinstance(each, int) else each for each in padded)))


def syscall(number: int, *arguments: object) -> int:
    """Call a system call by its number.

    Raises:
        OSError: The kernel refuses.
    """
    _LIBC.syscall.restype = ctypes.c_long
    wide = (ctypes.c_long(each) if isinstance(each, int) else each for each in arguments)
    return _checked(_LIBC.syscall(ctypes.c_long(number), *wide))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
