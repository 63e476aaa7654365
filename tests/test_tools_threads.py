import asyncio
import subprocess
import sys
import threading
import time

import pytest

from agents.errors import ToolError
from agents.tools import threads
from agents.tools.threads import run_in_thread


def test_it_gives_what_the_function_returns() -> None:
    assert asyncio.run(run_in_thread(lambda: threading.current_thread().name)) == "tool"


@pytest.mark.parametrize(
    ("raised", "expected"),
    [(KeyError("x"), KeyError), (SystemExit(3), RuntimeError), (StopIteration(), RuntimeError)],
)
def test_it_raises_what_the_function_raises_and_nothing_that_ends_the_process(
    raised: BaseException, expected: type[Exception]
) -> None:
    def broken() -> None:
        raise raised

    with pytest.raises(expected):
        asyncio.run(run_in_thread(broken))


def test_too_many_are_refused_and_a_free_place_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_places", threading.BoundedSemaphore(1))
    release = threading.Event()

    async def main() -> None:
        first = asyncio.create_task(run_in_thread(release.wait))
        await asyncio.sleep(0)
        with pytest.raises(ToolError, match="too many"):
            await run_in_thread(int)
        release.set()
        await first
        while True:
            try:
                assert await run_in_thread(int) == 0
                return
            except ToolError:
                await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(main(), 5))


def test_a_thread_that_cannot_be_started_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_places", threading.BoundedSemaphore(1))

    def no_more(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as exhausted:
        exhausted.setattr(threading.Thread, "start", no_more)
        with pytest.raises(ToolError, match="too many"):
            asyncio.run(run_in_thread(int))

    assert asyncio.run(run_in_thread(int)) == 0


def test_a_function_that_never_returns_keeps_neither_the_loop_nor_the_process() -> None:
    program = (
        "import asyncio, time\n"
        "from agents.tools.threads import run_in_thread\n"
        "async def main():\n"
        "    try:\n"
        "        await asyncio.wait_for(run_in_thread(lambda: time.sleep(1000)), 0.05)\n"
        "    except TimeoutError:\n"
        "        print('on we go')\n"
        "asyncio.run(main())\n"
    )
    began = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert ended.stdout == "on we go\n"
    assert time.monotonic() - began < 20
