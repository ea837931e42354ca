"""What was measured, as rows of tables and as JSON. A figure that was not measured is None."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class CallRow:
    """One call of the transformer."""

    variant: str
    size: str
    petaflop: float
    seconds: float | None = None
    of_prediction: float | None = None
    """Microbenchmarks' time over the measured: 1 is as fast as single products and attentions."""
    of_peak: float | None = None
    """Time at the dense peak over the measured."""
    allocated_gb: float | None = None
    """Most that tensors took, with the VAE's work."""
    reserved_gb: float | None = None
    """Most that PyTorch took from the GPU."""
    estimated_gb: float | None = None
    """What the choice of a memory mode reckons with."""
    note: str = ""


@dataclass(frozen=True)
class WindowRow:
    """One window after the first: 72 new frames."""

    variant: str
    size: str
    preset: str
    calls: int
    floor_seconds: float | None = None
    """At the dense peak."""
    seconds: float | None = None
    per_video_second: float | None = None
    over_floor: float | None = None
    how: str = ""


@dataclass(frozen=True)
class PartRow:
    """What is calculated around the transformer, in the usual formats."""

    size: str
    part: str
    seconds: float | None = None


@dataclass(frozen=True)
class ProductRow:
    """A microbenchmark."""

    what: str
    by: str
    tflops_per_second: float | None = None
    of_peak: float | None = None


@dataclass(frozen=True)
class KernelRow:
    """A kernel of the profiled call."""

    kernel: str
    calls: int
    milliseconds: float | None = None
    share: float | None = None


@dataclass
class Figures:
    """All tables of a run.

    Attributes:
        machine: What measured.
        calls: By variant and size.
        windows: By variant, size and preset.
        parts: By size and part.
        products: Microbenchmarks.
        kernels: Of the profiled call, the longest first.
        profiled: Which call that was.
        failures: What did not run, and why.
    """

    machine: Mapping[str, Any]
    calls: dict[tuple[str, str], CallRow] = field(default_factory=dict)
    windows: dict[tuple[str, str, str], WindowRow] = field(default_factory=dict)
    parts: dict[tuple[str, str], PartRow] = field(default_factory=dict)
    products: Sequence[ProductRow] = ()
    kernels: Sequence[KernelRow] = ()
    profiled: str = ""
    failures: list[str] = field(default_factory=list)

    def add(self, *rows: CallRow | WindowRow | PartRow) -> None:
        """Add rows, or put them in the place of those that were planned."""
        for row in rows:
            match row:
                case CallRow():
                    self.calls[row.variant, row.size] = row
                case WindowRow():
                    self.windows[row.variant, row.size, row.preset] = row
                case PartRow():
                    self.parts[row.size, row.part] = row

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        tables: Mapping[str, Mapping[Any, Any]] = {"calls": self.calls, "windows": self.windows, "parts": self.parts}
        return {
            "machine": dict(self.machine),
            **{name: [asdict(row) for row in rows.values()] for name, rows in tables.items()},
            "products": [asdict(row) for row in self.products],
            "profiled": self.profiled,
            "kernels": [asdict(row) for row in self.kernels],
            "failures": self.failures,
        }

    def save(self, path: Path) -> None:
        """Write JSON, whole or not at all."""
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(self.to_dict(), indent=1) + "\n")
        partial.replace(path)

    def to_markdown(self) -> str:
        """All tables that have rows."""
        titles: Mapping[str, Collection[Any]] = {
            "One call of the transformer": self.calls.values(),
            "One window of 72 new frames (2.88 s), everything but the video encoder": self.windows.values(),
            "Around the transformer": self.parts.values(),
            "Microbenchmarks": self.products,
            f"Kernels of one call ({self.profiled})": self.kernels,
        }
        tables = [f"## {title}\n\n{table(rows)}" for title, rows in titles.items() if rows]
        if self.failures:
            tables.append("## What did not run\n\n" + "\n".join(f"- {failure}" for failure in self.failures))
        return "\n\n".join(tables)


def table(rows: Iterable[Any]) -> str:
    """Rows of one class as a Markdown table: its fields are the columns."""
    listed = list(rows)
    names = [column.name for column in fields(listed[0])]
    lines = [[_shown(getattr(row, name)) for name in names] for row in listed]
    head = [" | ".join(name.replace("_", " ") for name in names), "|".join("---" for _ in names)]
    return "\n".join(f"| {line} |" for line in [*head, *(" | ".join(line) for line in lines)])


def _shown(value: Any) -> str:
    if value is None:
        return NOT_MEASURED
    return f"{value:.3g}" if isinstance(value, float) else str(value)
