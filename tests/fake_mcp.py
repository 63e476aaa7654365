"""An MCP server over standard streams, in a few lines that need no package: `python fake_mcp.py`.

Its tools do what servers do in their bad hours: die, hang, fail, and change.
"""

import json
import os
import sys
from typing import Any

ANY = {"type": "object"}
TOOLS = ["echo", "pid", "environment", "die", "die_quietly", "fail", "hang", "picture", "grow"]


def send(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": words}], **more}


def call(name: str, arguments: dict[str, Any]) -> dict[str, Any] | None:
    match name:
        case "echo":
            return text(json.dumps(arguments))
        case "pid":
            return text(str(os.getpid()))
        case "environment":
            return text(" ".join(sorted(os.environ)))
        case "die":
            print("out of memory, token tok_0123456789", file=sys.stderr, flush=True)
            os._exit(1)
        case "die_quietly":
            return text("last words")
        case "fail":
            return text("no such slot", isError=True)
        case "picture":
            image = {"type": "image", "data": "aGk=", "mimeType": "image/png"}
            link = {"type": "resource_link", "uri": "file:///a.txt", "name": "a"}
            page = {"type": "resource", "resource": {"uri": "file:///b.txt", "text": "a page"}}
            return {"content": [{"type": "text", "text": "a picture"}, image, link, page]}
        case "grow":
            TOOLS.append("new one")
            send({"method": "notifications/tools/list_changed"})
            return text("grown")
        case "speak":
            return text("y" * int(arguments["chars"]))
    return None


def answer(method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    match method:
        case "initialize":
            capabilities = {"tools": {"listChanged": True}}
            info = {"name": "fake", "version": "1"}
            return {"protocolVersion": params["protocolVersion"], "capabilities": capabilities, "serverInfo": info}
        case "tools/list" if "new one" in TOOLS and sys.argv[1:] == ["stalls"]:
            return None
        case "tools/list":
            half = len(TOOLS) // 2
            if "cursor" in params:
                return {"tools": [{"name": name, "inputSchema": ANY} for name in TOOLS[half:]]}
            first = [{"name": name, "description": f"Does {name}.", "inputSchema": ANY} for name in TOOLS[:half]]
            return {"tools": first, "nextCursor": "more"}
        case "tools/call":
            return call(params["name"], params.get("arguments") or {})
        case "ping":
            return {}
    return None


def main(behaviour: str) -> None:
    if behaviour == "mute":
        sys.stdin.read()
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message:
            if message["method"] == "notifications/cancelled":
                print(f"cancelled: {message['params']['reason']}", file=sys.stderr, flush=True)
            continue
        method, params = message["method"], message.get("params") or {}
        if method == "server/discover":
            send({"id": message["id"], "error": {"code": -32601, "message": "no such method"}})
        elif (result := answer(method, params)) is not None:
            send({"id": message["id"], "result": result})
        if params.get("name") == "die_quietly":
            return


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
