"""Says on which machine, and with which versions, something was measured."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

PACKAGES: Final = ("voice-gateway", "uvicorn", "starlette", "websockets", "uvloop", "numpy", "orjson", "picows")
"""What carries a frame, here and in the load."""

CPU_INFO: Final = Path("/proc/cpuinfo")


def machine() -> dict[str, str | int]:
    """The processor's model, how many cores this process may use, the system and Python's version."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """Of the packages that have a share in the figures; those that are not installed are left out."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _cpu_model() -> str:
    try:
        lines = CPU_INFO.read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
