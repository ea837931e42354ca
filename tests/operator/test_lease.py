"""Leader election: two operators never act at once."""

import asyncio
import time
from typing import Any

import pytest
from tests.operator.fake_api import FakeApi

from talkingvideo_clients.kube.api import LEASES, ApiError
from talkingvideo_operator.lease import Lease, LeaseLostError
from talkingvideo_operator.settings import LeaseSettings


@pytest.fixture
def clock(monkeypatch: Any) -> Any:
    """A clock that only sleeping moves."""

    class Clock:
        now = 1_000.0

    async def sleep(seconds: Any) -> None:
        Clock.now += seconds

    monkeypatch.setattr(time, "monotonic", lambda: Clock.now)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    return Clock


def lease(api: Any, holder: Any) -> Any:
    return Lease(api, LeaseSettings(duration_seconds=15), "system", holder)


def test_a_second_operator_acquires_the_lease_only_after_the_whole_duration_without_a_renewal(clock: Any) -> None:
    async def scenario() -> None:
        api = FakeApi()
        first, second = lease(api, "first"), lease(api, "second")
        await first.acquire()
        assert first.held()
        began = clock.now
        await second.acquire()
        assert not first.held()
        assert clock.now - began > 15

    asyncio.run(scenario())


def test_a_holder_considers_its_lease_lost_before_another_can_acquire_it(clock: Any) -> None:
    async def scenario() -> None:
        api = FakeApi()
        first = lease(api, "first")
        await first.acquire()
        clock.now += 9.9
        assert first.held()
        clock.now += 0.2
        assert not first.held()

    asyncio.run(scenario())


def test_a_renewed_lease_is_not_acquired_by_another(clock: Any) -> None:
    async def scenario() -> None:
        api = FakeApi()
        first, second = lease(api, "first"), lease(api, "second")
        await first.acquire()
        for _ in range(20):
            clock.now += 3
            await first._try_acquire_or_renew()
            assert not await second._try_acquire_or_renew()
            assert first.held()

    asyncio.run(scenario())


def test_a_holder_that_cannot_renew_ends(clock: Any) -> None:
    async def scenario() -> None:
        api = FakeApi()
        first = lease(api, "first")
        await first.acquire()
        api.refuse["get leases"] = ApiError(0, "no answer")
        with pytest.raises(LeaseLostError):
            await first.keep()

    asyncio.run(scenario())


def test_a_released_lease_is_acquired_at_once(clock: Any) -> None:
    async def scenario() -> None:
        api = FakeApi()
        first, second = lease(api, "first"), lease(api, "second")
        await first.acquire()
        await first.release()
        assert not first.held()
        assert await second._try_acquire_or_renew()

    asyncio.run(scenario())


def test_a_lease_that_an_administrator_has_created_is_acquired(clock: Any) -> None:
    async def scenario() -> None:
        api = FakeApi()
        empty = {"metadata": {"name": "talkingvideo-operator", "namespace": "system"}}
        await api.create(LEASES, "system", empty)
        first = lease(api, "first")
        await first.acquire()
        assert first.held()

    asyncio.run(scenario())
