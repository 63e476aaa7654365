"""The other end of the line: a simulated Twilio that signs, dials, runs TwiML, plays, echoes marks, obeys clear.

    report = await place_call(Dial(public_url=..., auth_token=...), Script(utterances=(Utterance(pcm16_8k),)))

calls a service over sockets, in real time. The same in this process and in virtual time, for an ASGI application:

    async def call() -> CallReport:
        async with started(app) as running:
            return await place_call(dial, script, app=running, network=Network(rtt_ms=120, jitter_ms=30))

    report = run_virtual(call())

`network` goes with both. An Account is whose calls these are: its REST API can end or redirect them, and place others;
`serve_rest` has it on loopback, RestInProcess in this process. Its calls meet in conferences; whom it rings may be a
person who says words or presses keys, a telephone computer (`Script.answers`) or an AnsweringMachine. `open_leg` gives
one media socket by itself, for streams that are not healthy.

It is stricter than Twilio: what Twilio would drop with a warning, or play as noise, is among the report's errors. And
it bounds what it is sent: a service that floods, never ends or never answers fails its own call, and nothing else.

For tests with pytest there is the fixture `carrier`; see `pytest_plugin.py`. On the command line there is
`voice-gateway call`.
"""

from channels.carrier.account import Account, Callee
from channels.carrier.call import ACCOUNT_SID, Dial, place_call
from channels.carrier.caller import Script, Utterance
from channels.carrier.far_party import FarParty
from channels.carrier.in_process import started
from channels.carrier.machine import AnsweringMachine
from channels.carrier.media import MediaLeg, open_leg
from channels.carrier.network import Network, Stall
from channels.carrier.playout import Clearing
from channels.carrier.report import CallEvent, CallReport, Turn
from channels.carrier.rest import serve_rest
from channels.carrier.rest_in_process import RestInProcess
from channels.carrier.sids import new_call_sid
from channels.carrier.tally import Tally
from channels.carrier.virtual_time import loop_time, run_virtual

__all__ = [
    "ACCOUNT_SID",
    "Account",
    "AnsweringMachine",
    "CallEvent",
    "CallReport",
    "Callee",
    "Clearing",
    "Dial",
    "FarParty",
    "MediaLeg",
    "Network",
    "RestInProcess",
    "Script",
    "Stall",
    "Tally",
    "Turn",
    "Utterance",
    "loop_time",
    "new_call_sid",
    "open_leg",
    "place_call",
    "run_virtual",
    "serve_rest",
    "started",
]
