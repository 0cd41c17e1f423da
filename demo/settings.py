"""How slow and how unreliable a service pretends to be."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from demo.errors import Refused


class Settings(BaseModel):
    """What `POST /_admin/config` changes; camelCase on the wire."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True
    )

    delay_ms: float = Field(default=0, ge=0)
    """Time before the effect."""
    reply_delay_ms: float = Field(default=0, ge=0)
    """Time after the effect is committed and before the reply; only for writes."""
    jitter_ms: float = Field(default=0, ge=0)
    """Up to so much is added to the delay."""
    error_rate: float = Field(default=0, ge=0, le=1)
    """The share of calls that fail before they have an effect."""
    error_status: int = Field(default=500, ge=400, le=599)
    honour_keys: bool = True
    """Whether a repeated Idempotency-Key is recognised."""

    def changed(self, changes: Mapping[str, Any]) -> "Settings":
        """These settings with some of them replaced."""
        try:
            return Settings.model_validate({**self.wire(), **changes})
        except ValidationError as error:
            problems = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise Refused(400, "bad_config", "; ".join(problems)) from None

    def wire(self) -> dict[str, Any]:
        """The settings under their names on the wire."""
        return self.model_dump(by_alias=True)
