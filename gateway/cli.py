"""The command line: `voice-gateway serve | check | call | dial | heard | load | timeline | agents | schema`."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from agents.errors import ConfigError
from agents.schema import AgentSpec
from gateway import call_command, dial_command, heard_command, serve_command, telemetry, timeline_command
from gateway.configuration import check_configuration, load_configuration
from gateway.load import command as load_command
from gateway.numbers import NumbersSpec
from gateway.settings import wrong_variables


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. Returns the process's exit status: 0 well, 1 something is wrong, 2 misused."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except ConfigError as error:
        print(f"voice-gateway: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="voice-gateway", description="Answers Twilio calls with realtime voice models, or with an embedded agent."
    )
    commands = parser.add_subparsers(metavar="command", required=True)

    serve = commands.add_parser("serve", help="answer calls", description=serve_command.__doc__)
    serve_command.add_arguments(serve)
    serve.set_defaults(run=serve_command.run)

    check = commands.add_parser(
        "check",
        help="check the environment and every file of the configuration",
        description="Checks the environment's variables and every file of the configuration, and prints each problem: "
        "file, line, field, what was found, what would be right. Exits with 1 when there is any.",
    )
    _add_config(check)
    check.set_defaults(run=_check)

    call = commands.add_parser("call", help="place a simulated Twilio call", description=call_command.__doc__)
    call_command.add_arguments(call)
    call.set_defaults(run=call_command.run)

    dial = commands.add_parser("dial", help="have an agent telephone somebody", description=dial_command.__doc__)
    dial_command.add_arguments(dial)
    dial.set_defaults(run=dial_command.run)

    heard = commands.add_parser(
        "heard", help="measure how exactly the model learns what was heard", description=heard_command.__doc__
    )
    heard_command.add_arguments(heard)
    heard.set_defaults(run=heard_command.run)

    load = commands.add_parser("load", help="measure how many calls one core carries", description=load_command.__doc__)
    load_command.add_arguments(load)
    load.set_defaults(run=load_command.run)

    timeline = commands.add_parser("timeline", help="draw the spans of one call", description=timeline_command.__doc__)
    timeline_command.add_arguments(timeline)
    timeline.set_defaults(run=timeline_command.run)

    agents = commands.add_parser(
        "agents", help="list the agents", description="Lists the agents, their models and the numbers they answer."
    )
    _add_config(agents)
    agents.set_defaults(run=_agents)

    schema = commands.add_parser(
        "schema",
        help="print the JSON schema of agent files",
        description="Prints the JSON schema of an agent's file, for editors that complete and check YAML.",
    )
    schema.add_argument("--numbers", action="store_true", help="the schema of numbers.yaml instead")
    schema.set_defaults(run=_schema)
    return parser


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        default=Path(os.environ.get("CONFIG_DIR") or "config"),
        help="the configuration folder (default: CONFIG_DIR, else config)",
    )


def _check(options: argparse.Namespace) -> int:
    wrong = [*wrong_variables(os.environ), *telemetry.wrong_variables(os.environ)]
    configuration, problems = check_configuration(options.config, os.environ)
    for line in (*(f"environment: {variable}" for variable in wrong), *problems):
        print(line)
    if wrong or configuration is None:
        count = len(wrong) + len(problems)
        places = [*(["the environment"] if wrong else []), *([str(options.config)] if problems else [])]
        print(f"{count} problem{'s' if count > 1 else ''} in {' and '.join(places)}")
        return 1
    print(f"{options.config} is right: {len(configuration.agents)} agent(s): {', '.join(configuration.agents)}")
    return 0


def _agents(options: argparse.Namespace) -> int:
    configuration = load_configuration(options.config, os.environ)
    answered: dict[str, list[str]] = {}
    for number, agent in configuration.numbers.agents.items():
        answered.setdefault(agent, []).append(number)
    if configuration.numbers.default:
        answered.setdefault(configuration.numbers.default, []).append("every other number")
    for name, spec in configuration.agents.items():
        models = ", then ".join(choice.model or "" for choice in spec.choices())
        print(f"{name}: {models}; answers {', '.join(answered.get(name, ['no number']))}")
        if spec.greeting:
            print(f"    {spec.greeting}")
    return 0


def _schema(options: argparse.Namespace) -> int:
    spec = NumbersSpec if options.numbers else AgentSpec
    print(json.dumps(spec.model_json_schema(), indent=2))
    return 0
