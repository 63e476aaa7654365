"""The whole service of a configuration folder as an application, for the simulated carrier to call in this process."""

from collections.abc import Mapping
from pathlib import Path

from starlette.applications import Starlette

from agents.tracing import Telemetry
from channels.carrier import Account, RestInProcess, loop_time
from gateway.app import make_app
from gateway.calls import Calls
from gateway.configuration import load_configuration
from gateway.placing import Placing
from gateway.rest import rest_of
from gateway.settings import read_settings


def service_of(
    config: Path | str,
    environment: Mapping[str, str],
    account: Account | None = None,
    telemetry: Telemetry | None = None,
) -> Starlette:
    """The service as `serve` would run it, on the clock of the loop that it runs in, real or virtual.

    `account` is whose REST API it uses; None for none, whatever credentials the environment holds. `telemetry` is
    where its spans and figures go. Raises ConfigError for a wrong environment or configuration.
    """
    settings = read_settings({**environment, "CONFIG_DIR": str(config)})
    configuration = load_configuration(settings.config_dir, environment)
    agents = configuration.make_agents(settings.config_dir, environment)
    rest = rest_of(settings, http=lambda: RestInProcess(account)) if account else None
    addresses = settings.addresses
    calls = Calls(agents, settings.max_calls, clock=loop_time, rest=rest, addresses=addresses, telemetry=telemetry)
    placing = Placing(settings, configuration.agents, calls, rest, loop_time) if rest else None
    return make_app(settings, agents, configuration.numbers, calls, placing)
