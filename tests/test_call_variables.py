"""What a call brings along reaches the agent's texts, through the real webhook."""

import asyncio

from agents import RealtimeAgent
from agents.call_context import CallContext
from agents.providers.scripted import ScriptedModel
from channels.carrier.sids import new_call_sid
from tests.service import NUMBER, RunningService, running, voice_fields


def agent() -> RealtimeAgent:
    return RealtimeAgent(
        name="branch",
        model=ScriptedModel([]),
        instructions="You serve {{ name }} in {{ shop }}.",
        variables={"name": "somebody", "shop": "Mill Lane"},
    )


async def instructed(service: RunningService, path: str, **headers: str) -> tuple[str | None, CallContext]:
    """What the model of a call is told, and the call's context."""
    sid = new_call_sid()
    status, _ = await service.post(path, voice_fields(sid) | headers)
    assert status == 200
    call = service.calls.live(sid)
    assert call is not None
    config = await call.agent.session_config(call.context)
    return config.instructions, call.context


def test_the_address_of_the_webhook_and_sip_headers_fill_what_the_agent_declares() -> None:
    async def test() -> None:
        async with running(agent()) as service:
            told, context = await instructed(
                service, "/twilio/voice?shop=Lantern%20Street&lamp=red", **{"SipHeader_X-Name": "Ann {{ shop }}"}
            )

        assert told == "You serve Ann {{ shop }} in Lantern Street."
        assert (context.parameters["lamp"], context.parameters["SipHeader_X-Name"]) == ("red", "Ann {{ shop }}")

    asyncio.run(test())


def test_without_them_the_defaults_stand() -> None:
    async def test() -> None:
        async with running(agent()) as service:
            told, _ = await instructed(service, "/twilio/voice?shop=")

        assert told == "You serve somebody in Mill Lane."

    asyncio.run(test())


def test_the_address_cannot_say_what_twilio_says() -> None:
    async def test() -> None:
        async with running(agent()) as service:
            _, context = await instructed(service, "/twilio/voice?To=%2B15550100999&From=nobody")

        assert (context.caller, context.called) == ("+15550100100", NUMBER)

    asyncio.run(test())
