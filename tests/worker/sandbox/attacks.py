"""What a decoder might do that a hostile file has taken over; the children of the tests' sandbox do it."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from talkingvideo_api.errors import StageError
from talkingvideo_worker.sandbox.kernel import syscall

Given = dict[str, Any]


def outcome(action: Callable[[], object]) -> Given:
    """What an attempt came to: the name of the error, or that it was allowed."""
    try:
        action()
    except OSError as error:
        return {"found": errno.errorcode[error.errno or 0]}
    return {"found": "allowed"}


def connect(given: Given) -> Given:
    return outcome(lambda: socket.create_connection(("127.0.0.1", given["port"]), 1).close())


def make_socket(given: Given) -> Given:
    return outcome(lambda: socket.socket(given["family"]).close())


def start_program(_: Given) -> Given:
    return outcome(lambda: os.execv(sys.executable, [sys.executable, "-c", ""]))


def start_process(_: Given) -> Given:
    return outcome(os.fork)


def signal_process(given: Given) -> Given:
    return outcome(lambda: os.kill(given["process"], signal.SIGTERM))


def limit_process(given: Given) -> Given:
    return outcome(lambda: resource.prlimit(given["process"], resource.RLIMIT_NOFILE, (4, 4)))


def raise_limit(_: Given) -> Given:
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    except ValueError:
        return {"found": "refused"}
    return {"found": "allowed"}


def attach(given: Given) -> Given:
    """Write into the memory of a process, as a debugger does."""
    return outcome(lambda: os.close(os.open(f"/proc/{given['process']}/mem", os.O_RDWR)))


def call(given: Given) -> Given:
    return outcome(lambda: syscall(given["number"], 0, 0, 0, 0))


def write(given: Given) -> Given:
    return outcome(lambda: Path(given["path"]).write_text("x"))


def link(given: Given) -> Given:
    return outcome(lambda: Path(given["path"]).symlink_to("/etc/passwd"))


def empty(given: Given) -> Given:
    return outcome(lambda: os.truncate(given["path"], 0))


def empty_by_opening(given: Given) -> Given:
    """Without asking to write, which is all that Landlock's first versions look at."""
    return outcome(lambda: os.close(os.open(given["path"], given["mode"] | os.O_TRUNC)))


def empty_by_openat2(given: Given) -> Given:
    how = (ctypes.c_uint64 * 3)(os.O_RDONLY | os.O_TRUNC, 0, 0)
    path = ctypes.c_char_p(given["path"].encode())
    return outcome(lambda: syscall(437, -100, path, ctypes.byref(how), ctypes.sizeof(how)))


def change_mode(given: Given) -> Given:
    return outcome(lambda: Path(given["path"]).chmod(0o777))


def change_mode_of_descriptor(given: Given) -> Given:
    return outcome(lambda: os.fchmod(os.open(given["path"], os.O_RDONLY), 0o777))


def change_times(given: Given) -> Given:
    return outcome(lambda: os.utime(given["path"], (0, 0)))


def change_attributes(given: Given) -> Given:
    return outcome(lambda: os.setxattr(given["path"], b"user.mine", b"x"))


def change_owner(given: Given) -> Given:
    return outcome(lambda: os.chown(given["path"], os.getuid(), os.getgid()))


def signal_by_descriptor(given: Given) -> Given:
    """The kernel signals whoever owns a descriptor that has become readable."""
    reader, _writer = os.pipe()
    return outcome(lambda: fcntl.fcntl(reader, fcntl.F_SETOWN, given["process"]))


def start_thread(_: Given) -> Given:
    thread = threading.Thread(target=time.sleep, args=(0,))
    thread.start()
    thread.join()
    return {"found": "allowed"}


def tell_environment(_: Given) -> Given:
    return {"found": sorted(os.environ)}


def tell_files(_: Given) -> Given:
    return {"found": [str(Path(f"/proc/self/fd/{name}").readlink()) for name in (0, 1, 2)]}


def echo(given: Given) -> Given:
    return given


def refuse(given: Given) -> Given:
    raise StageError.invalid(given.get("words", "The file is a poem."), given.get("field"))


def fail(given: Given) -> Given:
    raise ValueError(given["text"])


def take_memory(given: Given) -> Given:
    return {"found": len(bytearray(given["bytes"]))}


def compute(_: Given) -> Given:
    while True:
        pass


def wait(_: Given) -> Given:
    time.sleep(1_000)
    return {}


def grow(given: Given) -> Given:
    with Path(given["path"]).open("wb") as file:
        while True:
            file.write(bytes(1 << 20))


def fill_disk(_: Given) -> Given:
    raise OSError(errno.ENOSPC, "full")


def crash(_: Given) -> Given:
    ctypes.string_at(0)
    return {}


def abort(_: Given) -> Given:
    os.abort()


def vanish(_: Given) -> Given:
    os._exit(0)


def be_killed(_: Given) -> Given:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def flood(_: Given) -> Given:
    return {"found": "\0" * 10_000_000}


TASKS = {
    name: function
    for name, function in list(globals().items())
    if callable(function) and getattr(function, "__module__", None) == __name__ and name != "outcome"
}
