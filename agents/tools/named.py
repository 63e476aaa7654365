"""Python functions that an agent's file names as tools."""

from importlib import import_module

from agents.allowed import did_you_mean
from agents.errors import ConfigError
from agents.tools.built_in import BUILT_IN
from agents.tools.function import FunctionTool, tool
from agents.yaml_document import shortened


def find_tool(name: str) -> FunctionTool:
    """The function of a dotted name, as a tool. Raises ToolNotFound, saying what was found and what would be right.

    It is imported: the code of its module runs.
    """
    module_name, _, attribute = name.rpartition(".")
    if not module_name:
        known = did_you_mean(name, BUILT_IN)
        raise ToolNotFound(shortened(name), f"{known}, or write the dotted name of a Python function")
    try:
        found: object = getattr(import_module(module_name), attribute)
        if isinstance(found, FunctionTool):
            return found
        if callable(found):
            return tool(found)
    except Exception as error:  # a stranger's module may raise anything while it is imported
        reason = f"{shortened(name)} ({type(error).__name__}: {error})"
        raise ToolNotFound(reason, "must be a function that can be imported; is its package installed?") from error
    raise ToolNotFound(f"{shortened(name)}, a {type(found).__name__}", "must be a function")


class ToolNotFound(ConfigError):
    """A tool's name leads to nothing that can be called."""

    def __init__(self, found: str, right: str) -> None:
        super().__init__(f"tool: found {found}; {right}")
        self.found = found
        self.right = right
