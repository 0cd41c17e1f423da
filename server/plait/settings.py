"""Everything an operator can set, from the environment, a `.env` file or secret files. Frozen once
read.

`PLAIT_PORT=9000`, `PLAIT_BACKENDS__USERS__URL=https://users.internal`. Each setting is described
here and listed in the README; a test keeps the two together. Wrong values are reported all at
once, by the variable's name.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from plait.errors import SettingsError


class BackendSettings(BaseModel):
    """What an operator may set for one backend."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str | None = Field(None, description="Base URL, in place of the one in the graph.")
    token: SecretStr | None = Field(
        None, description="Sent as `Authorization: Bearer ...` with every call."
    )
    timeout_s: float | None = Field(None, gt=0, description="In place of the graph's `timeout_s`.")
    connections: int | None = Field(
        None, gt=0, description="In place of the graph's `connections`."
    )


class Settings(BaseSettings):
    """The gateway's settings. Times are seconds."""

    model_config = SettingsConfigDict(
        env_prefix="PLAIT_",
        env_nested_delimiter="__",
        env_file=".env",
        extra="ignore",
        frozen=True,
    )

    host: str = Field("127.0.0.1", description="Address that `plait serve` listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port that `plait serve` listens on.")
    workers: int = Field(1, ge=1, le=256, description="Processes that share the port.")
    backends: dict[str, BackendSettings] = Field(
        default_factory=dict,
        description="By name: PLAIT_BACKENDS__<NAME>__URL, __TOKEN, __TIMEOUT_S, __CONNECTIONS.",
    )
    cache_url: SecretStr | None = Field(
        None,
        description="Where rows are cached: memory:// (default), redis://..., memcached://host:port.",
    )
    cache_entries_max: int = Field(100_000, gt=0, description="Rows that the memory cache holds.")
    cache_bytes_max: int = Field(
        256 * 1024 * 1024, gt=0, description="Bytes that the memory cache holds."
    )
    cache_timeout_s: float = Field(
        0.1, gt=0, description="How long a cache may take before it is left alone."
    )
    ledger_path: Path = Field(
        Path(".plait/ledger.sqlite3"),
        description="The ledger of writes; `:memory:` forgets on exit.",
    )
    ledger_expiry_s: float = Field(
        86_400, gt=0, description="How long an idempotency key is remembered."
    )
    request_timeout_s: float = Field(
        30, gt=0, description="When a request's calls are given up, however many waves it has."
    )
    request_bytes_max: int = Field(1024 * 1024, gt=0, description="The largest request body.")
    request_calls_max: int = Field(
        2_000, gt=0, description="The most backend calls one operation may make."
    )
    document_tokens_max: int = Field(10_000, gt=0, description="The longest document, in tokens.")
    document_depth_max: int = Field(20, gt=0, description="How deep a document's fields may nest.")
    document_fields_max: int = Field(
        5_000, gt=0, description="How many fields a document may select, fragments spread out."
    )
    documents_cached: int = Field(1_000, gt=0, description="How many parsed documents are kept.")
    graphiql: bool = Field(True, description="Whether browsers get GraphiQL at /graphql.")
    introspection: bool = Field(True, description="Whether the schema may be asked for.")
    cors_origins: tuple[str, ...] = Field(
        (),
        description='Origins whose pages may call: a JSON list such as ["https://shop.example"].',
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least that is logged."
    )
    log_format: Literal["json", "text", "auto"] = Field(
        "auto", description="`auto` is text on a terminal and JSON elsewhere."
    )

    @field_validator("backends", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return (
            {str(name).lower(): one for name, one in value.items()}
            if isinstance(value, dict)
            else value
        )


def read_settings(**overrides: Any) -> Settings:
    """The settings as the environment has them; `overrides` win. Raises `SettingsError`, naming
    every wrong one."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        lines = [f"{_variable(one['loc'])}: {one['msg']}" for one in error.errors()]
        raise SettingsError("These settings cannot be used:\n  " + "\n  ".join(lines)) from None
    except ValueError as error:
        raise SettingsError(f"The settings cannot be read: {type(error).__name__}.") from None


def _variable(location: tuple[int | str, ...]) -> str:
    return "PLAIT_" + "__".join(str(part).upper() for part in location)
