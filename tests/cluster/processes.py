"""Programs that run beside the tests and end with them."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 0.1


def _die_with_parent() -> None:
    """Have the kernel end this process when the test run's process ends, however that ends (Linux)."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def flags(**settings: object) -> list[str]:
    """Write settings as a command line's ``--name=value``, underscores as dashes, ``True`` as ``true``."""
    as_text = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in settings.items()}
    return [f"--{name.replace('_', '-')}={value}" for name, value in as_text.items()]


@dataclass
class Processes:
    """The programs of one cluster, each with a log file ``<name>.log`` under ``logs``.

    They are stopped in the reverse order of their start. Each has its own session, so that Ctrl-C reaches the tests
    alone and programs end in order.
    """

    logs: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> None:
        """Start a program; ``environment`` is added to this process's own."""
        self.logs.mkdir(parents=True, exist_ok=True)
        with (self.logs / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )

    def stop(self, name: str, patience: float = 10) -> None:
        """End one program: SIGTERM, and SIGKILL when it is still there after ``patience`` seconds."""
        process = self.running.pop(name, None)
        if process is None:
            return
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def stop_all(self, patience: float = 10) -> None:
        """End every program, the last started first, with ``patience`` seconds for each."""
        for name in reversed(list(self.running)):
            self.stop(name, patience)

    def wait_until(self, what: str, is_true: Callable[[], bool], timeout: float = 60) -> None:
        """Poll until ``is_true``.

        Raises:
            RuntimeError: A program ended meanwhile, or ``timeout`` seconds passed; with the ends of the logs.
        """
        deadline = time.monotonic() + timeout
        while not is_true():
            ended = [f"{name} ({process.returncode})" for name, process in self.running.items() if process.poll()]
            if ended:
                raise RuntimeError(f"waiting for {what}: {', '.join(ended)} ended\n{self.log_tails()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"no {what} within {timeout:.0f} s\n{self.log_tails()}")
            time.sleep(_POLL_SECONDS)

    def log_tails(self, lines: int = 15) -> str:
        """Return the last lines of every log, under headings."""
        tails = (
            f"--- {log.stem}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
            for log in sorted(self.logs.glob("*.log"))
        )
        return "\n".join(tails)
