"""Answers calls until it is told to stop. Prints how to call it, from here and from a telephone."""

import argparse
import gc
import logging
import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

from agents.agent import RealtimeAgent
from channels.carrier import ACCOUNT_SID
from gateway import log as gateway_log
from gateway import run_file
from gateway.addresses import STATUS_PATH, VOICE_PATH
from gateway.admission import Admission
from gateway.app import make_app
from gateway.calls import Calls
from gateway.configuration import Configuration, load_configuration
from gateway.loop_lag import LoopLoad
from gateway.placing import Placing
from gateway.rest import rest_of
from gateway.server import Server
from gateway.settings import Settings, read_settings
from gateway.telemetry import exporting
from gateway.workers.calls import SharedCalls
from gateway.workers.slot import SharedPace
from gateway.workers.supervisor import Supervisor, worker_command, worker_environment
from gateway.workers.worker import Worker, WorkerServer

log = logging.getLogger(__name__)

GARBAGE_THRESHOLDS: Final = (10_000, 50, 50)
"""When Python looks for cycles, by generation. With its own (700, 10, 10) it looks through every live call, a sixth of
a millisecond each, again and again while new ones begin; frames of audio leave no cycles behind.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", help="address to listen on (default: HOST, else 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (default: PORT, else 8080)")
    parser.add_argument("--config", type=Path, help="the configuration folder (default: CONFIG_DIR, else config)")
    parser.add_argument("--workers", type=int, help="processes that answer calls (default: WORKERS, else 1)")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)  # how the service starts them


def run(options: argparse.Namespace) -> int:
    """Serves until a signal. Raises ConfigError, before listening, for a wrong environment or configuration."""
    environment = os.environ | ({"CONFIG_DIR": str(options.config)} if options.config else {})
    settings = read_settings(environment, host=options.host, port=options.port, workers=options.workers)
    worker = None if options.worker is None else Worker(options.worker, settings)
    if worker:
        settings, environment = worker.settings, worker.environment(environment)
    gateway_log.set_up(settings.log_level, settings.log_format, settings.worker)
    configuration = load_configuration(settings.config_dir, environment)
    agents = configuration.make_agents(settings.config_dir, environment)
    if settings.workers > 1 and not worker:
        return _supervise(settings, configuration, environment, options)
    _serve(settings, configuration, agents, environment, worker)
    return 0


def _serve(
    settings: Settings,
    configuration: Configuration,
    agents: Mapping[str, RealtimeAgent],
    environment: Mapping[str, str],
    worker: Worker | None,
) -> None:
    """Answers calls in this process: all of them, or a worker's."""
    exports = exporting(environment)
    telemetry = exports.telemetry if exports else None
    rest, addresses = rest_of(settings), settings.addresses
    load = LoopLoad()
    admission = Admission(
        settings.max_calls,
        load,
        worker.slot.others if worker else lambda: 0,
        max_lag_ms=settings.max_loop_lag_ms,
        max_cpu_percent=settings.max_cpu_percent,
    )
    make_calls = partial(SharedCalls, worker.slot) if worker else Calls
    calls = make_calls(agents, admission, rest=rest, addresses=addresses, telemetry=telemetry)
    pace = SharedPace(worker.slot, settings.calls_per_second) if worker else None
    placing = Placing(settings, configuration.agents, calls, rest, time.monotonic, pace) if rest else None
    app = make_app(settings, agents, configuration.numbers, calls, placing, load)
    with ExitStack() as while_serving:
        if exports:
            while_serving.enter_context(exports).share()
            exports.observe(load)

        _settle_garbage()
        if worker and isinstance(calls, SharedCalls):
            WorkerServer(app, calls, worker).run()
            return
        ready = partial(_ready, settings, configuration, while_serving)
        Server(app, calls, settings.host, settings.port, settings.drain_s, ready).run()


def _settle_garbage() -> None:
    """What is there by now stays for good: it is not looked through any more."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


def _supervise(
    settings: Settings, configuration: Configuration, environment: Mapping[str, str], options: argparse.Namespace
) -> int:
    """Has workers answer calls, and starts them."""
    given = [("--host", options.host), ("--port", options.port), ("--workers", options.workers)]
    arguments = [part for name, value in given if value is not None for part in (name, str(value))]
    with ExitStack() as while_serving:
        ready = partial(_ready, settings, configuration, while_serving)
        return Supervisor(settings, worker_command(arguments), worker_environment(environment), ready).run()


def _ready(settings: Settings, configuration: Configuration, while_serving: ExitStack) -> None:
    while_serving.enter_context(run_file.shared(settings.port, _run_file(settings)))
    print(welcome(settings, configuration), flush=True)


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
