"""The work queue."""

import asyncio
from typing import Any

from talkingvideo_operator.workqueue import WorkQueue


def take(queue: Any, count: Any) -> Any:
    async def run() -> Any:
        taken = []
        for _ in range(count):
            async with asyncio.timeout(2), queue.get() as key:
                taken.append(key)
        return taken

    return run()


def test_a_key_added_twice_is_processed_once_and_in_order() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        for key in "abca":
            queue.add(key)
        assert await take(queue, 3) == ["a", "b", "c"]
        assert len(queue) == 0

    asyncio.run(scenario())


def test_a_key_added_while_it_is_processed_comes_again_afterwards_and_never_twice_at_once() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        queue.add("a")
        async with queue.get() as key:
            queue.add(key)
            queue.add("b")
            async with queue.get() as other:
                assert other == "b"
            assert len(queue) == 0
        assert await take(queue, 1) == ["a"]

    asyncio.run(scenario())


def test_a_delayed_key_comes_when_it_is_due_and_the_earliest_time_counts() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        loop = asyncio.get_running_loop()
        began = loop.time()
        queue.add_after("a", 5)
        queue.add_after("a", 0.05)
        queue.add_after("a", 3)
        assert await take(queue, 1) == ["a"]
        assert 0.04 < loop.time() - began < 1
        assert len(queue) == 0

    asyncio.run(scenario())


def test_a_key_added_now_does_not_wait_for_its_time() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        queue.add_after("a", 0.05)
        queue.add("a")
        assert await take(queue, 1) == ["a"]
        await asyncio.sleep(0.08)
        queue.add("b")
        assert await take(queue, 1) == ["b"]

    asyncio.run(scenario())


def test_a_waiting_worker_wakes_for_a_new_key() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        worker = asyncio.create_task(take(queue, 1))
        await asyncio.sleep(0.01)
        queue.add("a")
        assert await worker == ["a"]

    asyncio.run(scenario())


def test_superseded_timers_do_not_accumulate() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        queue.add_after("first of all", 3_600)
        for _ in range(1_000):
            for key in "abc":
                queue.add_after(key, 7 * 24 * 3_600)
                queue.add(key)
            await take(queue, 3)
        queue.add_after("a", 0.01)
        assert len(queue._timers) < 200
        assert await take(queue, 1) == ["a"]

    asyncio.run(scenario())
