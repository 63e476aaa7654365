"""The other end of the line: a simulated Twilio that signs, dials, runs TwiML, plays, echoes marks, obeys clear.

    report = await place_call(Dial(public_url=..., auth_token=...), Script(utterances=(Utterance(pcm16_8k),)))

`open_leg` gives one media socket by itself, for streams that are not healthy.
"""

from channels.carrier.call import ACCOUNT_SID, Dial, new_call_sid, place_call
from channels.carrier.caller import Script, Utterance
from channels.carrier.media import MediaLeg, Tally, open_leg
from channels.carrier.report import CallEvent, CallReport, Turn

__all__ = [
    "ACCOUNT_SID",
    "CallEvent",
    "CallReport",
    "Dial",
    "MediaLeg",
    "Script",
    "Tally",
    "Turn",
    "Utterance",
    "new_call_sid",
    "open_leg",
    "place_call",
]
