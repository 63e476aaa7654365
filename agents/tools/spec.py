"""What an operator may write of tools in an agent's YAML."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from agents.spec import Sentence, Spec

TOOL_NAME: Final = r"^[a-zA-Z_][a-zA-Z0-9_-]{0,63}$"
"""What every provider takes for a tool's name."""

VARIABLE: Final = r"^[A-Z][A-Z0-9_]*$"
"""The name of an environment variable."""

Name = Annotated[str, StringConstraints(pattern=TOOL_NAME)]


class FillerSpec(Spec):
    """What the caller hears when a tool takes its time."""

    after_ms: int = Field(1500, ge=0, le=60_000, description="How long the tool runs before that, in milliseconds.")
    say: Sentence | None = Field(None, description="What to say, word for word. {{ variables }} are filled in.")
    play: str | None = Field(None, pattern=r"\.wav$", description="A recording to play in its place, a WAV file.")

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if (self.say is None) == (self.play is None):
            raise ValueError("a filler says something or plays a recording: give say or play")
        return self


class ToolRulesSpec(Spec):
    """How the calls of one tool are run."""

    tool: Name = Field(description="The tool's name, as the model knows it.")
    timeout_s: float | None = Field(
        None, gt=0, le=300, description="Longest that a call may take, in seconds; without it tool_timeout_s."
    )
    filler: FillerSpec | None = Field(None, description="What the caller hears when it takes its time.")
    background: bool = Field(
        False, description="Whether the conversation goes on meanwhile; the result is spoken when it comes."
    )
    needs_approval: bool = Field(False, description="Whether a program must approve each call.")
    interruptible: bool = Field(False, description="Whether a caller who interrupts the agent stops the call.")

    @model_validator(mode="after")
    def _is_waited_for(self) -> Self:
        if self.background and self.filler:
            raise ValueError("nobody waits for a tool in the background: remove filler or background")
        return self


class HttpParameterSpec(Spec):
    """Something that the model gives to an HTTP tool."""

    name: str = Field(pattern=r"^[a-z_][a-z0-9_]*$", description="Its name, for the model and in templates.")
    description: str = Field("", description="What it is, for the model.")
    type: Literal["string", "integer", "number", "boolean"] = Field("string", description="Its JSON type.")
    choices: tuple[str, ...] = Field((), description="All that it may be; for type string.")
    required: bool = Field(True, description="Whether the model must give it.")

    @model_validator(mode="after")
    def _chooses_among_texts(self) -> Self:
        if self.choices and self.type != "string":
            raise ValueError("only a parameter of type string has choices: remove choices or the type")
        return self


class HttpToolSpec(Spec):
    """A tool that is an HTTP request."""

    name: Name = Field(description="Its name, for the model.")
    description: str = Field(min_length=1, description="What it does and when to use it, for the model.")
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = Field("GET", description="The HTTP method.")
    url: str = Field(
        pattern=r"^https?://", description="Where the request goes. {{ parameters }} and {{ variables }} are filled in."
    )
    parameters: tuple[HttpParameterSpec, ...] = Field((), description="What the model gives.")
    query: dict[str, str] = Field(default_factory=dict, description="Query parameters; templates as in url.")
    headers: dict[str, str] = Field(
        default_factory=dict, description="Headers; {{ env.NAME }} is an environment variable, for secrets."
    )
    body: dict[str, Any] | None = Field(
        None,
        description="The JSON body; texts in it are templates. Without it, POST, PUT and PATCH send the parameters.",
    )
    result: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_-]+(\[\d+\])*(\.[A-Za-z0-9_-]+(\[\d+\])*)*$",
        description="What of the JSON answer the model is told, such as data.slots[0].start; without it, all.",
    )
    retries: int = Field(
        2,
        ge=0,
        le=5,
        description="Tries after one that failed: of GET, PUT and DELETE, and of all that never got there.",
    )
    allow_private: bool = Field(
        False, description="Whether it may reach, and be redirected to, private and local addresses."
    )

    @model_validator(mode="after")
    def _names_parameters_once(self) -> Self:
        names = [parameter.name for parameter in self.parameters]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"parameter names must be unique; twice: {', '.join(twice)}")
        if self.body is not None and self.method == "GET":
            raise ValueError("a GET has no body: put it into query, or let method be POST")
        return self


class McpServerSpec(Spec):
    """A server of tools that speaks the Model Context Protocol: a program, or an address."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$", description="A short name, for logs.")
    command: str | None = Field(None, description="The program to start, which talks over its standard streams.")
    args: tuple[str, ...] = Field((), description="Its arguments.")
    env: tuple[Annotated[str, StringConstraints(pattern=VARIABLE)], ...] = Field(
        (), description="Environment variables that it is given; others it does not see."
    )
    url: str | None = Field(
        None, pattern=r"^https?://", description="Instead of command: where it is, over streamable HTTP."
    )
    headers: dict[str, str] = Field(
        default_factory=dict, description="With url: headers; {{ env.NAME }} is an environment variable."
    )
    tools: tuple[str, ...] | None = Field(None, description="Which of its tools the agent has; null for all.")

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        if (self.command is None) == (self.url is None):
            raise ValueError("an MCP server is a program or an address: give command or url")
        if self.url and (self.args or self.env):
            raise ValueError("args and env are for a command; remove them, or url")
        if self.command and self.headers:
            raise ValueError("headers are for a url; remove them, or command")
        return self
