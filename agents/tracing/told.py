"""What a provider is told of its own tracing, where it has one."""

import logging
from collections.abc import Mapping
from typing import Any

from agents.realtime import RealtimeSessionOptions, Tracing

log = logging.getLogger(__name__)


def config_fields(options: RealtimeSessionOptions) -> Mapping[str, Any]:
    """The fields of SessionConfig that a session's options set: `config`, and below it `tracing`.

    Nothing is said of tracing unless an option asks: the provider's own default holds.
    """
    if options.tracing_disabled:
        return {"tracing": None, **options.config}
    if options.workflow_name:
        named = Tracing(
            workflow_name=options.workflow_name, group_id=options.group_id, metadata=options.trace_metadata or {}
        )
        return {"tracing": named, **options.config}
    alone = [name for name in ("group_id", "trace_metadata") if getattr(options, name)]
    if alone:
        log.warning("%s: a provider's own trace takes them with a workflow_name only", " and ".join(alone))
        return {"tracing": "auto", **options.config}
    return options.config
