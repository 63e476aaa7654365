"""Opens models for a session: as its options say, for whichever agent talks."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from agents.errors import NotSupportedError
from agents.realtime import (
    AudioFormat,
    OngoingCall,
    Past,
    RealtimeConnection,
    RealtimeConnectOptions,
    RealtimeModel,
    RealtimeSessionOptions,
    SessionConfig,
)
from agents.succession import for_others
from agents.taken_over import TakenOver
from agents.tracing.told import config_fields

if TYPE_CHECKING:
    from agents.agent import RealtimeAgent


class Opening:
    """What the options of one session make of its agents: their models, their configurations, their connections.

    `call` is the conversation that they are for.
    """

    def __init__(self, options: RealtimeSessionOptions, call: OngoingCall) -> None:
        self._options = options
        self._fields = config_fields(options)
        self._call = call

    def model_of(self, agent: "RealtimeAgent") -> RealtimeModel:
        return self._options.model or agent.model

    @property
    def context(self) -> object:
        return self._options.context

    async def config_of(self, agent: "RealtimeAgent") -> SessionConfig:
        """The agent's configuration in this session. Its toolkits must have been entered."""
        own = replace(agent, config=replace(agent.config, **self._fields))
        return await own.session_config(self.context)

    async def open(self, model: RealtimeModel, config: SessionConfig) -> RealtimeConnection:
        """The first connection, not yet entered. Raises what the model does, and NotSupportedError for other audio."""
        return await self._connect(model, config, replace(self._given, call=self._call))

    async def open_next(
        self, model: RealtimeModel, config: SessionConfig, first: RealtimeModel, taken_over: TakenOver
    ) -> RealtimeConnection:
        """A connection that goes on with the conversation that it takes over, not yet entered. Raises as `open` does.

        Key, credential and provider options of the session are for its `first` model.
        """
        given = self._given
        options = replace(
            given,
            resume=None,
            abort=None,
            history=(*given.history, *taken_over.began_with),
            call=_TakenOverCall(self._call, taken_over),
        )
        return await self._connect(model, config, options if model is first else for_others(options))

    @property
    def _given(self) -> RealtimeConnectOptions:
        given = self._options.connect_options or RealtimeConnectOptions()
        return replace(
            given,
            credential=self._options.credential or given.credential,
            api_key=self._options.api_key or given.api_key,
        )

    async def _connect(
        self, model: RealtimeModel, config: SessionConfig, options: RealtimeConnectOptions
    ) -> RealtimeConnection:
        if self._options.channel:
            _refuse_other_audio(self._options.channel.audio_format, config, model)
        options = replace(options, session_config=config)
        if isinstance(self._options.transport, str):
            return await model.connect(options)
        return await self._options.transport.connect(model, options)


class _TakenOverCall:
    """The call, for a model that may have to go on with it once more: as that model was told of it."""

    def __init__(self, call: OngoingCall, taken_over: TakenOver) -> None:
        self._call = call
        self._taken_over = taken_over

    @property
    def past(self) -> Sequence[Past]:
        return self._taken_over.past

    @property
    def is_quiet(self) -> bool:
        return self._call.is_quiet


def _refuse_other_audio(line: AudioFormat, config: SessionConfig, model: RealtimeModel) -> None:
    """Nothing is transcoded between a line and a model: all three must mean the same audio."""
    if not config.input_format == config.output_format == line:
        raise NotSupportedError(
            f"the channel carries {line}; input_format is {config.input_format}, output_format {config.output_format}"
        )
    known = model.capabilities
    if line not in known.input_formats or line not in known.output_formats:
        raise NotSupportedError(f"the channel carries {line}, which {model.provider}/{model.model_id} does not")
