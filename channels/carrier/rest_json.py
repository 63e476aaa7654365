"""What Twilio's REST API answers, in JSON with Twilio's field names. Pure."""

from datetime import timedelta
from email.utils import format_datetime
from typing import Any

from channels.carrier.account import Failure, Message
from channels.carrier.call_recording import CallRecording
from channels.carrier.live_call import LiveCall

API_VERSION = "2010-04-01"


def error_json(failure: Failure) -> dict[str, Any]:
    return {
        "code": failure.code,
        "message": failure.message,
        "more_info": f"https://www.twilio.com/docs/errors/{failure.code}",
        "status": failure.status,
    }


def call_json(call: LiveCall) -> dict[str, Any]:
    """A call as it is now. Twilio tells a duration, in seconds as text, when the call is over."""
    talked_ms = (call.ended_ms or 0) - (call.answered_ms or call.ended_ms or 0)
    return {
        "sid": call.sid,
        "account_sid": call.account_sid,
        "parent_call_sid": None,
        "to": call.to_number,
        "from": call.from_number,
        "direction": call.direction,
        "status": call.status,
        "start_time": _date(call, call.answered_ms),
        "end_time": _date(call, call.ended_ms),
        "duration": str(talked_ms // 1000) if call.is_over else None,
        "date_created": _date(call, 0),
        "date_updated": _date(call, call.ended_ms or call.answered_ms or 0),
        "price": None,
        "price_unit": "USD",
        "api_version": API_VERSION,
        "uri": f"/{API_VERSION}/Accounts/{call.account_sid}/Calls/{call.sid}.json",
    }


def recording_json(recording: CallRecording) -> dict[str, Any]:
    """Twilio tells a duration, in seconds as text, when the recording is over; until then it is -1."""
    path = f"/{API_VERSION}/Accounts/{recording.account_sid}/Calls/{recording.call_sid}/Recordings/{recording.sid}"
    return {
        "sid": recording.sid,
        "call_sid": recording.call_sid,
        "account_sid": recording.account_sid,
        "status": recording.status,
        "channels": recording.channels,
        "source": recording.source,
        "duration": str(round(recording.duration_ms / 1000)) if recording.is_over else "-1",
        "price": None,
        "price_unit": "USD",
        "api_version": API_VERSION,
        "uri": f"{path}.json",
    }


def message_json(message: Message, account_sid: str) -> dict[str, Any]:
    return {
        "sid": message.sid,
        "account_sid": account_sid,
        "to": message.to,
        "from": None if message.sender.startswith("MG") else message.sender,
        "messaging_service_sid": message.sender if message.sender.startswith("MG") else None,
        "body": message.body,
        "num_media": str(len(message.media_urls)),
        "status": "queued",
        "direction": "outbound-api",
        "error_code": None,
        "error_message": None,
        "api_version": API_VERSION,
        "uri": f"/{API_VERSION}/Accounts/{account_sid}/Messages/{message.sid}.json",
    }


def _date(call: LiveCall, at_ms: int | None) -> str | None:
    """A moment of the call, in RFC 2822; None for one that has not come."""
    return None if at_ms is None else format_datetime(call.created_at + timedelta(milliseconds=at_ms))
