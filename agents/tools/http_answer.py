"""What a model is told of the answer to an HTTP tool's request."""

import re
from collections.abc import Iterable
from typing import Final

import orjson

from agents.errors import ToolError
from agents.tools.header_secrets import without
from agents.tools.http_client import MAX_ANSWER_BYTES, HttpAnswer

MAX_REFUSAL_CHARS: Final = 300
"""Of an answer that is a failure: enough to say what is wrong, too little for a page of markup."""

_UNICODE: Final = ("utf-8", "utf8", "utf-16", "utf-16le", "utf-16be")
_WESTERN: Final = ("us-ascii", "ascii", "iso-8859-1", "latin-1", "latin1", "iso-8859-2", "iso-8859-15")
_WINDOWS: Final = ("windows-1250", "windows-1251", "windows-1252", "cp1252", "koi8-r")
_EASTERN: Final = ("shift_jis", "euc-jp", "iso-2022-jp", "gb2312", "gbk", "gb18030", "big5", "euc-kr")

CHARSETS: Final = frozenset({*_UNICODE, *_WESTERN, *_WINDOWS, *_EASTERN})
"""What an answer may be written in, else it is read as UTF-8. Python knows others that take seconds, or raise."""

_TEXT: Final = re.compile(r"text/|application/(.*[+/])?(json|xml|x-www-form-urlencoded|javascript|x-ndjson)")
_STEP: Final = re.compile(r"([A-Za-z0-9_-]+)|\[(\d+)\]")


def told(answer: HttpAnswer, result: str | None, secrets: Iterable[str]) -> object:
    """The value at the path `result` of a JSON answer, or all of the answer. Secrets that it repeats are cut out.

    Raises ToolError for a status that is a failure, and where there is nothing at the path.
    """
    text = without(_decoded(answer), secrets)
    if not 200 <= answer.status < 300:
        raise ToolError(f"the server answered {answer.status}: {_short(text)}")
    if not text.strip():
        return f"The server answered {answer.status}, and nothing more."
    if not answer.is_whole:
        raise ToolError(f"the server's answer is longer than {MAX_ANSWER_BYTES // 1024} KiB")
    try:
        value = orjson.loads(text)
    except ValueError:
        if result is not None:
            raise ToolError("the server's answer is not JSON") from None
        return text if _TEXT.match(answer.content_type) else f"[{answer.content_type}]"
    return value if result is None else _picked(value, result)


def _decoded(answer: HttpAnswer) -> str:
    charset = answer.charset.lower()
    return answer.body.decode(charset if charset in CHARSETS else "utf-8", "replace")


def _short(text: str) -> str:
    """A piece of a failure's text on one line; of markup only the words."""
    words = " ".join(re.sub(r"<[^<>]*>", " ", text).split())
    return words[:MAX_REFUSAL_CHARS] or "nothing more"


def _picked(value: object, path: str) -> object:
    for name, index in _STEP.findall(path):
        match value:
            case dict() if name in value:
                value = value[name]
            case list() if index and int(index) < len(value):
                value = value[int(index)]
            case _:
                raise ToolError(f"the server's answer has no {path}")
    return value
