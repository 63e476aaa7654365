"""What every provider asks for before there is a socket is asked for without giving its secrets away."""

import asyncio
import json

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from agents.errors import ProviderError
from agents.providers.access import ask, http_url

TOKEN = "tok-0123456789"


async def refusal_at(url: str) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await ask("GET", url, {"Authorization": "Bearer key-0123456789"}, key_name="WORDS_KEY")
    return caught.value


def test_a_peer_that_repeats_the_request_does_not_bring_its_secrets_into_our_message() -> None:
    def refuse(connection: ServerConnection, request: Request) -> Response | None:
        said = f"{request.path} with {request.headers['Authorization']} is nothing for agent-one"
        return Response(403, "Forbidden", Headers(), json.dumps({"error": {"message": said}}).encode())

    async def handler(socket: ServerConnection) -> None: ...

    async def main() -> None:
        async with serve(handler, "127.0.0.1", 0, process_request=refuse) as server:
            host, port = server.sockets[0].getsockname()
            query = {"agent_id": "agent-one", "token": TOKEN}
            error = await refusal_at(http_url(f"http://{host}:{port}", "/x", query, like="https://words.test"))
        assert error.code == "auth"
        assert "is nothing for agent-one" in str(error)
        assert TOKEN not in str(error) and "key-0123456789" not in str(error)

    asyncio.run(asyncio.wait_for(main(), 20))


def test_an_address_that_is_none_is_told_without_its_secrets() -> None:
    async def main() -> None:
        error = await refusal_at(f"http://words.test:99999/x?token={TOKEN}")
        assert error.code == "network"
        assert "words.test" in str(error)
        assert TOKEN not in str(error)

    asyncio.run(asyncio.wait_for(main(), 20))
