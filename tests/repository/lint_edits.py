"""Runs import-linter in the current folder after each of several edits: JSON in, JSON out.

One process for all of them, because its start takes longer than the check. It must not be pytest's own, which has the
real packages imported: import-linter would find those instead of the copy.
"""

import contextlib
import io
import json
import sys
from pathlib import Path

from importlinter.cli import lint_imports


def lint_after(file: str, text: str, contract: str) -> tuple[int, str]:
    """Append text to a file (a new one, where there is none), check the contract, and take the edit back."""
    path = Path(file)
    before = path.read_text() if path.exists() else None
    path.write_text((before or "") + text)
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output):
            status = lint_imports(limit_to_contracts=(contract,), no_logo=True)
    finally:
        path.unlink() if before is None else path.write_text(before)
    return status, output.getvalue()


if __name__ == "__main__":
    json.dump([lint_after(*edit) for edit in json.load(sys.stdin)], sys.stdout)
