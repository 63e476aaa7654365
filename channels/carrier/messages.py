"""What becomes of a text message: its status callbacks, beside all calls."""

import asyncio
from typing import Final

from agents.errors import ChannelError
from channels.carrier.account import Account, Message
from channels.carrier.call import reach_to
from channels.carrier.distance import Distant
from channels.carrier.webhooks import Service, Webhooks

SENT_AFTER_S: Final = 0.5
DELIVERED_AFTER_S: Final = 1.5
"""Quicker than most mobile networks."""


async def tell_delivered(account: Account, message: Message) -> None:
    """Posts that a message was sent, then that it was delivered. What goes wrong is among the account's troubles."""
    url = message.status_callback or ""
    if not account.public_url:
        account.troubles.append(f"nobody is told of message {message.sid}: the account knows of no service")
        return
    service = Service(account.public_url, account.local_url or account.public_url, account.auth_token)
    async with reach_to(account.app, account.public_url, account.local_url) as reach:
        webhooks = Webhooks(reach if account.network is None else Distant(reach, account.network), service)
        for status, after_s in (("sent", SENT_AFTER_S), ("delivered", DELIVERED_AFTER_S - SENT_AFTER_S)):
            await asyncio.sleep(after_s)
            try:
                await webhooks.notify(url, _params(account, message, status))
            except ChannelError as error:
                account.troubles.append(str(error))


def _params(account: Account, message: Message, status: str) -> dict[str, str]:
    """What Twilio tells of a message, with the older names beside the newer."""
    return {
        "AccountSid": account.sid,
        "ApiVersion": "2010-04-01",
        "MessageSid": message.sid,
        "MessageStatus": status,
        "SmsSid": message.sid,
        "SmsStatus": status,
        "From": message.sender,
        "To": message.to,
    }
