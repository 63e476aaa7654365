"""Addresses that a service gives: put together and taken apart, with one error for what is none. Pure."""

from urllib.parse import SplitResult, urljoin, urlsplit

from agents.errors import ChannelError


def joined(base: str, url: str) -> str:
    """The address that `url` means in a document at `base`. Raises ChannelError for what is no address."""
    try:
        joined = urljoin(base, url)
    except ValueError:
        raise _no_address(url) from None
    split(joined)
    return joined


def split(url: str) -> SplitResult:
    """The parts of an address, its port a number or none at all. Raises ChannelError for what is no address."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise _no_address(url) from None
    return parts


def port(parts: SplitResult) -> int:
    """The port that an address leads to, by itself or by its scheme."""
    return parts.port or (443 if parts.scheme in ("https", "wss") else 80)


def is_web(url: str) -> bool:
    """Whether this is where a web service may be: http or https, and a host."""
    try:
        parts = split(url)
    except ChannelError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _no_address(url: str) -> ChannelError:
    return ChannelError(f"{url[:200]} is not an address (11100)")
