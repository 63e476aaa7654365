"""A process under load is kept on its cores, asked what it uses, and always ended."""

import asyncio
import os
import resource
import sys
import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from agents.errors import ConfigError
from gateway.load.core_time import spent_s
from gateway.load.measured import LoopLag
from gateway.load.process import (
    Cores,
    Process,
    ProcessEndedError,
    free_port,
    last_lines,
    many_open_files,
    on_cores,
    running,
    share_cores,
)

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system keeps nothing on cores")

SERVES = """
import http.server, sys
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
"""Answers that there is no /readyz, as a floor does."""

WITH_CHILD = f"""
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; sum(range(4_000_000)); time.sleep(600)"])
{SERVES}
"""

LAGGING = """
import http.server, json, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"status": "ready", "loop_lag_ms": {"p50": 0.1, "p95": 1.5, "max": 9}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""

STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{SERVES}"


def under_load(folder: Path, program: str) -> AbstractAsyncContextManager[Process]:
    """A process that runs this program, on a port that it is given, on any core."""
    port = free_port()
    return running([sys.executable, "-c", program, str(port)], {}, port, frozenset(os.sched_getaffinity(0)), folder)


def children_of(process: Process) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def variables_of(process: Process) -> set[str]:
    """The names of those that it was started with."""
    return {part.split("=")[0] for part in Path(f"/proc/{process.pid}/environ").read_text().split("\0")}


def ends(pid: int) -> bool:
    """Whether such a process is gone, or its remains, soon: the system takes a moment for one that was killed."""
    until = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < until:
        time.sleep(0.001)
    return not is_alive(pid)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


# ---- cores ----


def test_the_load_has_the_cores_that_the_workers_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})

    assert share_cores(1) == Cores(frozenset({0}), frozenset({1, 2, 3}))
    assert share_cores(3) == Cores(frozenset({0, 1, 2}), frozenset({3}))
    assert not share_cores(3).are_shared


def test_where_no_core_is_left_all_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5})

    assert share_cores(1) == Cores(frozenset({5}), frozenset({5}))
    assert share_cores(1).are_shared


def test_a_system_that_keeps_nothing_on_cores_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_setaffinity")

    with pytest.raises(ConfigError, match="needs Linux"):
        share_cores(1)


def test_cores_are_given_back() -> None:
    before = os.sched_getaffinity(0)
    one = frozenset({min(before)})

    with on_cores(one):
        assert os.sched_getaffinity(0) == one

    assert os.sched_getaffinity(0) == before


def test_the_limit_of_open_files_is_raised_for_a_while() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)

    with many_open_files():
        during = resource.getrlimit(resource.RLIMIT_NOFILE)

    assert during[0] >= before[0] and during[1] == before[1]
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


def test_time_of_cores_is_what_worked_and_what_the_host_took() -> None:
    stat = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 100 20 30 9999 7 7 7 50 0 0\ncpu1 1 1 1 1 1 1 1 1 0 0\nintr 5\n"

    assert spent_s(frozenset({0}), stat) == 200 / os.sysconf("SC_CLK_TCK")


# ---- what it uses ----


def test_processor_time_and_memory_are_those_of_the_process_with_its_children(tmp_path: Path) -> None:
    alone = "sum(range(4_000_000))\n" + SERVES
    uses = []

    async def scene(program: str) -> None:
        async with under_load(tmp_path, program) as process:
            uses.append((process.cpu_s(), process.memory_kb(), len(children_of(process))))

    for program in (SERVES, alone, WITH_CHILD):
        asyncio.run(scene(program))

    (idle_s, idle_kb, _), (busy_s, _, _), (_, both_kb, children) = uses
    assert 0 < idle_s < busy_s
    assert children == 1
    assert both_kb > idle_kb + 2000


def test_loop_lag_is_read_where_it_is_told(tmp_path: Path) -> None:
    async def scene(program: str) -> object:
        async with under_load(tmp_path, program) as process:
            return await process.loop_lag()

    assert asyncio.run(scene(LAGGING)) == LoopLag(0.1, 1.5, 9.0)
    assert asyncio.run(scene(SERVES)) is None


# ---- how it ends ----


@pytest.mark.parametrize("program", [SERVES, WITH_CHILD])
def test_it_and_its_children_are_ended(program: str, tmp_path: Path) -> None:
    async def scene() -> list[int]:
        async with under_load(tmp_path, program) as process:
            return [process.pid, *children_of(process)]

    pids = asyncio.run(scene())

    assert [pid for pid in pids if not ends(pid)] == []


def test_one_that_will_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.load.process.END_TIMEOUT_S", 0.05)

    async def scene() -> int:
        async with under_load(tmp_path, STUBBORN) as process:
            return process.pid

    assert ends(asyncio.run(scene()))


def test_one_that_ends_at_its_start_is_reported_with_its_last_words(tmp_path: Path) -> None:
    async def scene() -> None:
        async with under_load(tmp_path, "print('PORT is wrong'); raise SystemExit(2)"):
            raise AssertionError

    with pytest.raises(ProcessEndedError, match=r"(?s)status 2.*PORT is wrong"):
        asyncio.run(scene())


def test_one_that_never_answers_is_ended_and_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.load.process.READY_TIMEOUT_S", 0.2)

    async def scene() -> None:
        async with under_load(tmp_path, "import time; time.sleep(600)"):
            raise AssertionError

    with pytest.raises(ConfigError, match="not ready within"):
        asyncio.run(scene())


def test_of_one_that_ended_meanwhile_nothing_is_read(tmp_path: Path) -> None:
    async def scene() -> None:
        async with under_load(tmp_path, SERVES) as process:
            os.kill(process.pid, 9)
            async with asyncio.timeout(10):
                while True:
                    process.cpu_s()
                    await asyncio.sleep(0)

    with pytest.raises(ProcessEndedError, match="the process under load ended"):
        asyncio.run(scene())


def test_of_this_shells_variables_only_a_few_reach_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBLIC_URL", "https://voice.example.com")
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")

    async def scene() -> set[str]:
        async with under_load(tmp_path, SERVES) as process:
            return variables_of(process)

    names = asyncio.run(scene())

    assert "PUBLIC_URL" not in names
    assert {"PATH", "OTEL_TRACES_EXPORTER"} <= names


def test_of_a_long_log_the_last_lines_are_read(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"line {number}\n" for number in range(100_000)))

    assert last_lines(log) == [f"line {number}" for number in range(99_995, 100_000)]
