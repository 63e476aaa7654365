"""Answers calls until it is told to stop. Prints how to call it, from here and from a telephone."""

import argparse
import logging
import os
import time
from contextlib import ExitStack
from pathlib import Path

from channels.carrier import ACCOUNT_SID
from gateway import log as gateway_log
from gateway import run_file
from gateway.addresses import STATUS_PATH, VOICE_PATH
from gateway.app import make_app
from gateway.calls import Calls
from gateway.configuration import Configuration, load_configuration
from gateway.placing import Placing
from gateway.rest import rest_of
from gateway.server import Server
from gateway.settings import Settings, read_settings
from gateway.telemetry import exporting

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", help="address to listen on (default: HOST, else 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (default: PORT, else 8080)")
    parser.add_argument("--config", type=Path, help="the configuration folder (default: CONFIG_DIR, else config)")


def run(options: argparse.Namespace) -> int:
    """Serves until a signal. Raises ConfigError, before listening, for a wrong environment or configuration."""
    environment = os.environ | ({"CONFIG_DIR": str(options.config)} if options.config else {})
    settings = read_settings(environment, host=options.host, port=options.port)
    gateway_log.set_up(settings.log_level, settings.log_format)
    configuration = load_configuration(settings.config_dir, environment)
    agents = configuration.make_agents(settings.config_dir, environment)
    exports = exporting(environment)
    telemetry = exports.telemetry if exports else None
    rest, addresses = rest_of(settings), settings.addresses
    calls = Calls(agents, settings.max_calls, rest=rest, addresses=addresses, telemetry=telemetry)
    placing = Placing(settings, configuration.agents, calls, rest, time.monotonic) if rest else None
    app = make_app(settings, agents, configuration.numbers, calls, placing)
    with ExitStack() as while_serving:
        if exports:
            while_serving.enter_context(exports).share()

        def when_ready() -> None:
            while_serving.enter_context(run_file.shared(settings.port, _run_file(settings)))
            print(welcome(settings, configuration), flush=True)

        Server(app, calls, settings.host, settings.port, settings.drain_s, when_ready).run()
    return 0


def welcome(settings: Settings, configuration: Configuration) -> str:
    """What to do next, for the terminal."""
    answering = configuration.numbers.default or ", ".join(sorted(configuration.numbers.answering))
    lines = [
        "",
        f"Ready on {settings.local_url}; {answering} answers.",
        "",
        "Call it from here, in a second terminal:",
        '    .venv/bin/voice-gateway call --say "What are your opening hours?"',
        "    .venv/bin/voice-gateway call --wav question.wav",
        "",
    ]
    if settings.has_invented_token:
        lines += [
            "Let a Twilio number reach it: give this port a public https address (a tunnel, a proxy), then start with",
            "    PUBLIC_URL=https://voice.example.com TWILIO_AUTH_TOKEN=<your account's token> make run",
            "and in the number's voice settings, at Twilio, set",
            f"    A call comes in:      POST https://voice.example.com{VOICE_PATH}",
            f"    Call status changes:  POST https://voice.example.com{STATUS_PATH}",
        ]
    else:
        lines += [
            "In the number's voice settings, at Twilio, set",
            f"    A call comes in:      POST {settings.base_url}{VOICE_PATH}",
            f"    Call status changes:  POST {settings.base_url}{STATUS_PATH}",
        ]
    return "\n".join([*lines, ""])


def _run_file(settings: Settings) -> run_file.RunFile:
    return run_file.RunFile(
        url=settings.local_url,
        public_url=settings.base_url,
        account_sid=settings.account_sid or ACCOUNT_SID,
        auth_token=settings.auth_tokens[0] if settings.has_invented_token else None,
    )
