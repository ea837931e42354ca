"""A simulated GPU: its tensors report ``cuda:0``, compute on the CPU, and refuse what CUDA refuses.

Unlike torch's fake tensors they have values, so that a whole engine renders with them. The GPU notes where the host
waits for it, and does what is copied on a stream of its own as late as that stream may.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from tests.worker.infinitetalk.devices.refusals import refuse
from tests.worker.infinitetalk.devices.streams import Event, Stream
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

GPU = torch.device("cuda", 0)
CPU = torch.device("cpu")

aten: Any = torch.ops.aten

COPIES = (aten._to_copy.default, aten.copy_.default)
BY_PLACES = (aten.index.Tensor, aten.index_put.default, aten.index_put_.default)
WAITING = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
"""Operations whose result's size, or which themselves are a number of the host's."""

UNPINNED = "a copy beside the calculation that is not from pinned memory, or waits"


class GpuTensor(Tensor):
    """A tensor of the simulated GPU.

    Attributes:
        held: Its values, on the CPU.
    """

    held: Tensor
    __torch_function__: Any = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, values: Tensor) -> GpuTensor:
        made: GpuTensor = Tensor._make_wrapper_subclass(
            cls,
            values.shape,
            strides=values.stride(),
            storage_offset=values.storage_offset(),
            dtype=values.dtype,
            device=GPU,
        )
        made.held = values
        return made

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"{type(self).__name__}({self.held!r})"

    def record_stream(self, stream: Any) -> None:
        """Memory is never given to others before its last use here."""

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, function: Any, _types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return Call(function, args, kwargs or {}).result()


class Call:
    """An operation that is called.

    Args:
        function: Of ``torch.ops``.
        args: Its arguments.
        kwargs: Those with names.
    """

    def __init__(self, function: Any, args: Any, kwargs: Mapping[str, Any]) -> None:
        self._function, self._args, self._kwargs = function, args, kwargs
        given = [*_tensors(args), *_tensors(kwargs.values())]
        self._here = [value for value in given if not isinstance(value, GpuTensor)]
        self._there = [value for value in given if isinstance(value, GpuTensor)]
        asked = kwargs.get("device")
        self._asked = None if asked is None else torch.device(asked).type

    @property
    def is_on_gpu(self) -> bool:
        """Whether the GPU takes part."""
        return bool(self._there) or self._asked == GPU.type

    @property
    def waits(self) -> bool:
        """Whether the host waits: for a copy, or for a size or a number that only the GPU knows."""
        if self._function in COPIES:
            return bool(self._here) or self._asked == CPU.type
        if self._function in BY_PLACES:
            indices = [index for index in self._args[1] if index is not None]
            return any(index.dtype == torch.bool or index.device != GPU for index in indices)
        return not WAITING.isdisjoint(self._function.tags)

    def result(self) -> Any:
        """What the CPU calculates, as the GPU's."""
        refuse(self._function, self._args, self._kwargs, self._here if self._brings_together else [], self._there)
        same = {id(tensor.held): tensor for tensor in self._there}
        asked = {} if self._asked is None else {"device": CPU}
        kwargs = {name: _each(_held, value) for name, value in {**self._kwargs, **asked}.items()}
        out = self._function(*_each(_held, self._args), **kwargs)
        if not self._stays:
            return out
        return _each(lambda value: same[id(value)] if id(value) in same else _on_gpu(value), out)

    @property
    def _brings_together(self) -> bool:
        """Whether all tensors must be in one place."""
        return self._function not in (*COPIES, *BY_PLACES)

    @property
    def _stays(self) -> bool:
        """Whether the result is on the GPU."""
        if self._function is aten.copy_.default:
            return isinstance(self._args[0], GpuTensor)
        return self._asked != CPU.type


@dataclass(eq=False)
class SimulatedGpu(TorchDispatchMode):
    """While it is entered, torch has a GPU.

    Attributes:
        waits: What the host waited for, by the operations' names, in order.
        operations: How often each has run on the GPU.
        free: Bytes that it says are free.
        capability: Compute capability.
    """

    waits: list[str] = field(default_factory=list)
    operations: Counter[Any] = field(default_factory=Counter)
    free: int = 80 * 10**9
    capability: tuple[int, int] = (9, 0)

    def __post_init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._mode_key = torch._C._TorchDispatchModeKey.FAKE  # with it torch does not look for a driver
        self._pinned: list[Tensor] = []
        self._current = self._calculation = Stream()

    def __enter__(self) -> SimulatedGpu:
        torch._C._ensureCUDADeviceGuardSet()
        self._lifted = torch._C._only_lift_cpu_tensors()
        torch._C._set_only_lift_cpu_tensors(True)  # numbers become a tensor of the CPU, and that is copied
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        torch._C._set_only_lift_cpu_tensors(self._lifted)

    def __torch_dispatch__(self, function: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if kwargs.pop("pin_memory", None):
            self._pinned.append(function(*args, **kwargs))
            return self._pinned[-1]
        if function is aten.copy_.default and self._current is not self._calculation:
            return self._copied_beside(*args, **kwargs)
        call = Call(function, args, kwargs)
        if not call.is_on_gpu:
            return function(*args, **kwargs)
        self.operations[function] += 1
        if call.waits:
            self.waits.append(str(function))
        return call.result()

    def _copied_beside(self, target: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:  # noqa: FBT002
        if not (non_blocking and source.is_contiguous() and self._is_pinned(source)):
            self.waits.append(UNPINNED)
        self._current.start(lambda: Call(aten.copy_.default, (target, source), {}).result())
        return target

    def _is_pinned(self, tensor: Tensor) -> bool:
        place = tensor.untyped_storage().data_ptr()
        return any(place == pinned.untyped_storage().data_ptr() for pinned in self._pinned)

    @contextmanager
    def _beside(self, stream: Stream) -> Iterator[None]:
        before, self._current = self._current, stream
        try:
            yield
        finally:
            self._current = before

    def stand_ins(self) -> dict[str, Any]:
        """For functions of ``torch.cuda`` that ask the driver."""
        return {
            "is_available": lambda: True,
            "is_initialized": lambda: True,
            "device_count": lambda: 1,
            "current_device": lambda: 0,
            "get_device_capability": lambda _device=None: self.capability,
            "mem_get_info": lambda _device=None: (self.free, self.free),
            "memory_reserved": lambda _device=None: 0,
            "memory_allocated": lambda _device=None: 0,
            "max_memory_reserved": lambda _device=None: 1,
            "reset_peak_memory_stats": lambda _device=None: None,
            "empty_cache": lambda: None,
            "synchronize": lambda _device=None: self.waits.append("synchronize"),
            "Stream": Stream,
            "Event": Event,
            "current_stream": lambda _device=None: self._current,
            "stream": self._beside,
        }


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    """Those among an operation's arguments."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (tuple, list)):
            yield from _tensors(value)


def _each(change: Callable[[Any], Any], values: Any) -> Any:
    """Arguments or results of an operation, each changed."""
    if isinstance(values, (tuple, list)):
        return type(values)([_each(change, value) for value in values])
    return change(values)


def _on_gpu(value: Any) -> Any:
    return GpuTensor(value) if isinstance(value, Tensor) else value


def _held(value: Any) -> Any:
    return value.held if isinstance(value, GpuTensor) else value
