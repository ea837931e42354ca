"""Where a child may write, enforced by Landlock: in one folder, and nowhere else.

A process under Landlock cannot attach to one outside of it either, so that it cannot write into the memory of the process
that started it, which has the network.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from talkingvideo_worker.sandbox.kernel import PR_SET_NO_NEW_PRIVS, prctl, syscall

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
"""Numbers of the system calls, the same on every architecture."""

PATH_BENEATH = 1

EXECUTE, WRITE_FILE, REMOVE_FILE, MAKE_REGULAR_FILE = 1 << 0, 1 << 1, 1 << 5, 1 << 8
REMOVE_FOLDER = 1 << 4
MAKE_OTHERS = 1 << 6 | 1 << 7 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12
"""Devices, folders, sockets, pipes and symbolic links."""

GOVERNED = EXECUTE | WRITE_FILE | REMOVE_FILE | REMOVE_FOLDER | MAKE_REGULAR_FILE | MAKE_OTHERS
"""What is refused outside of the folder; all of the first version of Landlock but reading."""

ALLOWED_INSIDE = WRITE_FILE | REMOVE_FILE | MAKE_REGULAR_FILE


class _Ruleset(ctypes.Structure):
    _fields_ = (("handled_access_fs", ctypes.c_uint64),)


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def write_only_in(folder: Path) -> None:
    """Let this process write files in a folder, and make nothing else anywhere, irrevocably.

    Raises:
        OSError: The kernel has no Landlock, or the container's seccomp profile refuses it.
    """
    ruleset = _Ruleset(GOVERNED)
    rules = syscall(CREATE_RULESET, ctypes.byref(ruleset), ctypes.sizeof(ruleset), 0)
    try:
        parent = os.open(folder, os.O_PATH | os.O_CLOEXEC)
        try:
            rule = _PathBeneath(ALLOWED_INSIDE, parent)
            syscall(ADD_RULE, rules, PATH_BENEATH, ctypes.byref(rule), 0)
        finally:
            os.close(parent)
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        syscall(RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)
