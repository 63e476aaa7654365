"""All rigs there are: each `tests/rig_<name>.py` has one or several."""

import inspect
from importlib import import_module
from pathlib import Path

from tests.rig import Rig


def all_rigs() -> list[type[Rig]]:
    """The classes, by name. Each is made without arguments."""
    found: dict[str, type[Rig]] = {}
    for file in sorted(Path(__file__).parent.glob("rig_*.py")):
        for value in vars(import_module(f"tests.{file.stem}")).values():
            if inspect.isclass(value) and issubclass(value, Rig) and not inspect.isabstract(value):
                found[value.name] = value
    return [found[name] for name in sorted(found)]
