"""Log lines name their call; numbers are masked."""

import asyncio
import json
import logging
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Literal

import pytest

from gateway.log import MAX_MESSAGE_CHARS, current_call, masked, set_up

CALL = "CA" + "1" * 32
NOISY = ("websockets", "uvicorn.error", "uvicorn.access", "aiohttp")


@pytest.fixture(autouse=True)
def untouched_logging() -> Iterator[None]:
    """Gives the root logger, which `set_up` takes over, back to pytest."""
    root = logging.getLogger()
    handlers, level, noise = root.handlers[:], root.level, {name: logging.getLogger(name).level for name in NOISY}
    root.handlers.clear()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, noisy_level in noise.items():
        logging.getLogger(name).setLevel(noisy_level)


def line(capsys: pytest.CaptureFixture[str]) -> str:
    output = capsys.readouterr()
    assert output.out == ""
    return output.err


# ---- masking ----


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("+15550100200", "…200"),
        ("client:front-desk", "…esk"),
        ("1234567", "…567"),
        ("123456", "…"),
        ("911", "…"),
        ("", "…"),
        ("sip:ann@example.com\n\x1b[", "…??["),
    ],
)
def test_of_a_number_only_the_last_digits_show(number: str, shown: str) -> None:
    assert masked(number) == shown


# ---- text ----


def test_a_text_line_has_time_level_call_message_and_extras(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        current_call.set(CALL)
        logging.getLogger("gateway.calls").info("call from %s", masked("+15550100200"), extra={"agent": "desk"})

    set_up("info", "text")
    asyncio.run(main())

    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d\d\d info CA11111111 call from …200 agent=desk\n", line(capsys))


def test_a_text_line_outside_a_call_names_none(capsys: pytest.CaptureFixture[str]) -> None:
    set_up("info", "text")

    logging.getLogger("gateway").warning("ready")

    assert re.fullmatch(r"\S+ warning ready\n", line(capsys))


def test_a_text_line_carries_the_exception(capsys: pytest.CaptureFixture[str]) -> None:
    set_up("info", "text")

    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("gateway").exception("it broke")

    assert "it broke \nTraceback" in (text := line(capsys))
    assert text.endswith("ValueError: broken\n")


# ---- json ----


def test_a_json_line_has_time_level_logger_message_call_and_extras(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        current_call.set(CALL)
        logging.getLogger("gateway.calls").info("lasted %d s", 3, extra={"agent": "desk", "odd": {1}})

    set_up("info", "json")
    asyncio.run(main())

    fields = json.loads(line(capsys))
    assert datetime.fromisoformat(fields.pop("time")).utcoffset() is not None
    assert fields == {
        "level": "info",
        "logger": "gateway.calls",
        "message": "lasted 3 s",
        "call": CALL,
        "agent": "desk",
        "odd": "{1}",
    }


def test_a_json_line_is_one_line_even_with_an_exception(capsys: pytest.CaptureFixture[str]) -> None:
    set_up("info", "json")

    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("gateway").exception("it\nbroke")

    text = line(capsys)
    fields = json.loads(text)
    assert text.count("\n") == 1
    assert fields["message"] == "it\nbroke"
    assert fields["error"].endswith("ValueError: two\nlines")
    assert "call" not in fields


# ---- lengths ----


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_message_without_end_is_cut(style: Literal["text", "json"], capsys: pytest.CaptureFixture[str]) -> None:
    set_up("info", style)

    logging.getLogger("gateway").info("heard %s", "x" * 50_000)

    shown = line(capsys)
    assert "heard xxx" in shown
    assert shown.count("x") == MAX_MESSAGE_CHARS - len("heard ")
    assert ("…" if style == "text" else "\\u2026") in shown


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_message_of_the_greatest_length_is_whole(
    style: Literal["text", "json"], capsys: pytest.CaptureFixture[str]
) -> None:
    set_up("info", style)

    logging.getLogger("gateway").info("x" * MAX_MESSAGE_CHARS)

    shown = line(capsys)
    assert shown.count("x") == MAX_MESSAGE_CHARS
    assert "…" not in shown


# ---- calls and levels ----


def test_each_task_logs_its_own_call(capsys: pytest.CaptureFixture[str]) -> None:
    async def serve(call: str) -> None:
        current_call.set(call)
        await asyncio.sleep(0)
        logging.getLogger("gateway").info("hello")

    async def main() -> None:
        async with asyncio.TaskGroup() as tasks:
            for call in ("CA1", "CA2"):
                tasks.create_task(serve(call))
        logging.getLogger("gateway").info("outside")

    set_up("info", "json")
    asyncio.run(main())

    assert [json.loads(text).get("call") for text in line(capsys).splitlines()] == ["CA1", "CA2", None]


def test_setting_up_twice_does_not_double_the_lines(capsys: pytest.CaptureFixture[str]) -> None:
    set_up("info", "text")
    set_up("info", "text")

    logging.getLogger("gateway").info("once")

    assert line(capsys).count("once") == 1


def test_lines_below_the_level_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    set_up("warning", "text")

    logging.getLogger("gateway").info("quiet")

    assert line(capsys) == ""


@pytest.mark.parametrize("name", NOISY)
@pytest.mark.parametrize(("level", "effective"), [("debug", logging.WARNING), ("error", logging.ERROR)])
def test_libraries_that_chatter_only_warn(name: str, level: str, effective: int) -> None:
    set_up(level, "text")

    assert logging.getLogger(name).getEffectiveLevel() == effective


@pytest.mark.parametrize(("style", "words"), [("text", " info w2 hello"), ("json", '"worker": 2')])
def test_a_line_of_one_worker_of_several_says_which(
    style: Literal["text", "json"], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up("info", style, 2)

    logging.getLogger("test").info("hello")

    assert words in capsys.readouterr().err
