"""What every block of an operator's file is made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints


class Spec(BaseModel):
    """Strict: unknown fields and wrong types are errors. Validate files as JSON, where a list may be a tuple."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Sentence = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
"""Something to say aloud, at most a minute or so of speech."""
