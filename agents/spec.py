"""What every block of an operator's file is made of."""

from pydantic import BaseModel, ConfigDict


class Spec(BaseModel):
    """Strict: unknown fields and wrong types are errors. Validate files as JSON, where a list may be a tuple."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
