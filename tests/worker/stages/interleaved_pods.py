"""Pods that share a store and run one operation at a time, in a sequence that the test chooses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Semaphore, Thread

from talkingvideo_clients.stores.base import FileInfo, MissingFileError


class MemoryStore:
    """A store in memory.

    Args:
        before: Called before each operation.
        files: Contents by name, which several stores may share.
    """

    def __init__(self, before: Callable[[], None] = lambda: None, files: dict[str, bytes] | None = None) -> None:
        self.files = {} if files is None else files
        self._before = before

    def uri(self, name: str) -> str:
        return f"memory://{name}"

    def stat(self, name: str) -> FileInfo | None:
        self._before()
        return FileInfo(len(self.files[name]), None) if name in self.files else None

    def read(self, name: str) -> bytes:
        self._before()
        try:
            return self.files[name]
        except KeyError:
            raise MissingFileError(name) from None

    def get(self, name: str, destination: Path, limit: int) -> None:
        content = self.read(name)
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_bytes(content)

    def put(self, name: str, source: Path) -> None:
        self._before()
        self.files[name] = source.read_bytes()

    def put_new(self, name: str, source: Path) -> bool:
        self._before()
        return self.files.setdefault(name, content := source.read_bytes()) is content

    def delete(self, name: str) -> None:
        self._before()
        self.files.pop(name, None)


class Pod:
    """A pod that stops before each operation on the store until the test lets it continue.

    Args:
        files: Contents of the store.
        run: What the pod does with the store.
    """

    def __init__(self, files: dict[str, bytes], run: Callable[[MemoryStore], object]) -> None:
        self.operations = 0
        self._outcome: object = None
        self._error: BaseException | None = None
        self._continue, self._stopped, self._ended = Semaphore(0), Semaphore(0), False
        self._thread = Thread(target=self._run, args=(MemoryStore(self._wait, files), run), daemon=True)
        self._thread.start()
        self._stopped.acquire()

    def step(self) -> None:
        """Continue until just before the next operation, or to the end."""
        if not self._ended:
            self.operations += 1
            self._continue.release()
            self._stopped.acquire()

    def finish(self) -> object:
        """Continue to the end; returns the outcome."""
        while not self._ended:
            self.step()
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._outcome

    def _wait(self) -> None:
        self._stopped.release()
        self._continue.acquire()

    def _run(self, store: MemoryStore, run: Callable[[MemoryStore], object]) -> None:
        try:
            self._outcome = run(store)
        except BaseException as error:
            self._error = error
        self._ended = True
        self._stopped.release()
