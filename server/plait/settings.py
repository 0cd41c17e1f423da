"""Everything an operator can set, from the environment, a `.env` file or files with secrets. Frozen
once read.

`PLAIT_PORT=9000`, `PLAIT_BACKENDS__USERS__URL=https://users.internal`. With `_FILE` behind its
name a setting is read from the file that it names, so that a secret need not be in the environment:
`PLAIT_BACKENDS__USERS__TOKEN_FILE=/run/secrets/users`.

Each setting is described here and listed in the README; a test keeps the two together. What is
wrong is reported all at once, by the variable's name, and so is a name that no setting has.
"""

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from plait.errors import SettingsError

PREFIX = "PLAIT_"
ENV_FILE = ".env"
FILE_SUFFIX = "_FILE"
SECRET_BYTES_MAX = 64 * 1024


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
    headers: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="Sent with every call: `__HEADERS__X_API_KEY` is the header `x-api-key`.",
    )


class Settings(BaseSettings):
    """The gateway's settings. Times are seconds."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    graph: str | None = Field(
        None, description="What `plait serve` serves, as `module:name`, where it is not told."
    )
    host: str = Field("127.0.0.1", description="Address that `plait serve` listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port that `plait serve` listens on.")
    workers: int = Field(1, ge=1, le=256, description="Processes that share the port.")
    backends: dict[str, BackendSettings] = Field(
        default_factory=dict,
        description="By name: `PLAIT_BACKENDS__<NAME>__URL`, and so on; see below.",
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
    share: Literal["on", "off"] = Field(
        "on",
        description="Whether equal queries under way share one execution, and a finished answer is "
        "told again while all that it was made of is fresh.",
    )
    share_bytes_max: int = Field(
        32 * 1024 * 1024, gt=0, description="Bytes of the finished answers that are kept for that."
    )
    transport: Literal["plait", "httpx"] = Field(
        "plait",
        description="Who speaks HTTP/1.1 with backends: Plait's own connections, or httpx's, which "
        "take a multiple of the CPU.",
    )
    native: Literal["on", "off"] = Field(
        "on",
        description="Whether modules that were made machine code run as such, where any were. "
        "From the environment alone: it decides what is imported.",
    )
    ledger_path: Path = Field(
        Path(".plait/ledger.sqlite3"),
        description="The ledger of writes; `:memory:` forgets on exit, and holds 200,000 entries.",
    )
    ledger_expiry_s: float = Field(
        86_400, gt=0, description="How long an idempotency key is remembered."
    )
    ledger_lease_s: float = Field(
        60,
        gt=0,
        description="How long a write counts as running where its process cannot be asked for.",
    )
    ledger_wait_s: float = Field(
        0,
        ge=0,
        description="How long a request waits for its twin under the same key, before it is told "
        "that one is running.",
    )
    request_timeout_s: float = Field(
        30, gt=0, description="When a request is given up, however many waves it has."
    )
    request_bytes_max: int = Field(1024 * 1024, gt=0, description="The largest request body.")
    request_calls_max: int = Field(
        2_000, gt=0, description="The most backend calls one operation may make, writes too."
    )
    request_keys_max: int = Field(
        10_000, gt=0, description="The most different keys one operation may load."
    )
    request_list_items_max: int = Field(
        2_000, gt=0, description="The longest list that an argument or a variable may be."
    )
    answer_objects_max: int = Field(
        10_000, gt=0, description="The most objects and list items in one answer."
    )
    answer_bytes_max: int = Field(10 * 1024 * 1024, gt=0, description="The largest answer.")
    document_characters_max: int = Field(
        100_000, gt=0, description="The longest document, in characters."
    )
    document_tokens_max: int = Field(2_000, gt=0, description="The longest document, in tokens.")
    document_depth_max: int = Field(20, gt=0, description="How deep a document's fields may nest.")
    document_fields_max: int = Field(
        2_000, gt=0, description="How many fields a document may select, fragments spread out."
    )
    documents_cached: int = Field(1_000, gt=0, description="How many parsed documents are kept.")
    graphiql: bool = Field(True, description="Whether browsers get GraphiQL at /graphql.")
    introspection: bool = Field(True, description="Whether the schema may be asked for.")
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins whose pages may call, with commas between."
    )
    arrival_timeout_s: float = Field(
        30, gt=0, description="How long a request may take to arrive, headers and body."
    )
    headers_max: int = Field(100, gt=0, description="The most headers of a request.")
    header_bytes_max: int = Field(
        32 * 1024, gt=0, description="The largest request line and headers together."
    )
    record_replies: Path | None = Field(
        None,
        description="A folder that gets the first replies of each endpoint, for "
        "`plait check --replies`. They are data: for development.",
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

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value.lstrip().startswith("["):
            return tuple(msgspec.json.decode(value, type=list[str]))
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given goes first; the environment, `.env` and secret files are one source."""
        return init_settings, _Variables(settings_cls)


class _Variables(EnvSettingsSource):
    """The environment over `.env`, each variable from its file where it names one."""

    def _load_env_vars(self) -> Mapping[str, str | None]:
        found = variables()
        for name in foreign(found):
            del found[name]
        return {name.lower(): value for name, value in found.items()}


def read_settings(**overrides: Any) -> Settings:
    """The settings as the environment has them; `overrides` win. Raises `SettingsError`, naming
    everything that is wrong."""
    wrong = list(_unknown(variables()))
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        wrong += [_mistake(one) for one in found if one["type"] != "extra_forbidden"]
        if not wrong:
            raise SettingsError(str(error)) from None
    except ValueError as error:
        named = re.search(r'field "(\w+)"', str(error))
        name = f"{PREFIX}{named[1].upper()}" if named else "A setting"
        wrong.append(f"{name}: it must be JSON.")
    if wrong:
        raise SettingsError(
            "These settings cannot be used:\n  " + "\n  ".join(dict.fromkeys(wrong))
        )
    return settings


def variables() -> dict[str, str]:
    """Every `PLAIT_` variable by its name in capitals, of `.env` and of the environment. Raises
    `SettingsError` for a file that cannot be read."""
    found = {**dotenv_values(ENV_FILE), **os.environ}
    named = {
        name.upper(): value
        for name, value in found.items()
        if name.upper().startswith(PREFIX) and value is not None
    }
    return dict(_from_file(name, value) for name, value in named.items())


def _from_file(name: str, value: str) -> tuple[str, str]:
    if not name.endswith(FILE_SUFFIX):
        return name, value
    try:
        with Path(value).open("rb") as file:
            text = file.read(SECRET_BYTES_MAX).decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(f"{name}: the file cannot be read: {reason}.") from None
    return name.removesuffix(FILE_SUFFIX), text.rstrip("\r\n")


_BACKEND = re.compile(rf"{PREFIX}BACKENDS__(.+?)__([A-Z0-9_]+?)(__.*)?")


def _unknown(names: Mapping[str, str]) -> Iterator[str]:
    """Variables that are settings with a typing mistake: they must not start as a default."""
    known = _known()
    parts = [name.upper() for name in BackendSettings.model_fields]
    for name in names:
        if match := _BACKEND.fullmatch(name):
            if match[2] not in parts:
                yield f"{name}: a backend has no setting {match[2]}. {_nearest(match[2], parts)}"
        elif name.startswith(f"{PREFIX}BACKENDS__"):
            yield f"{name}: write {PREFIX}BACKENDS__<NAME>__URL, with two underscores each time."
        elif name not in known and _is_near(name, known):
            yield f"{name}: there is no such setting. {_nearest(name, known)}"


def foreign(names: Iterable[str]) -> list[str]:
    """Variables with the prefix of settings that are none, nor near one: a machine's environment
    belongs to others too, so they are told and left alone."""
    known = _known()
    return [
        name
        for name in names
        if name not in known
        and not name.startswith(f"{PREFIX}BACKENDS__")
        and not _is_near(name, known)
    ]


NEAR = 0.7
"""How alike two names are, from 0 to 1, for one to be taken for the other mistyped."""


def _known() -> list[str]:
    return [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]


def _is_near(name: str, known: Iterable[str]) -> bool:
    # Of what follows the prefix: that alone would make all names alike.
    rest = [one.removeprefix(PREFIX) for one in known]
    return bool(difflib.get_close_matches(name.removeprefix(PREFIX), rest, n=1, cutoff=NEAR))


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known)}."


def _mistake(error: Any) -> str:
    location = error["loc"]
    variable = PREFIX + "__".join(str(part).upper() for part in location)
    if location[0] == "backends" and len(location) > 2:
        field = BackendSettings.model_fields.get(str(location[2]))
    else:
        field = Settings.model_fields.get(str(location[0]))
    told = str(error["msg"])
    reason = told[:1].lower() + told[1:]
    if field is None:
        return f"{variable}: {reason}."
    example = _example(field.annotation, field.default)
    return f"{variable}: it must be {_kind(field.annotation)}{example} ({reason})."


def _kind(annotation: Any) -> str:
    """What a setting is, in words."""
    inner = [one for one in get_args(annotation) if one is not type(None)]
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(map(str, get_args(annotation)))
    if annotation is not None and type(None) in get_args(annotation):
        return _kind(inner[0])
    return {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        Path: "a path",
        SecretStr: "a text",
        str: "a text",
    }.get(annotation, "JSON by name" if get_origin(annotation) is dict else "a list with commas")


def _example(annotation: Any, default: Any) -> str:
    if get_origin(annotation) is Literal:
        return ""
    if default in (None, (), ...) or repr(default) == "PydanticUndefined":
        kind = _kind(annotation)
        example = {"a whole number": "64", "a number": "2.5"}.get(kind)
        if kind.startswith("a list"):
            example = "https://shop.example"
        return f", such as {example}" if example else ""
    return f", such as {str(default).lower() if isinstance(default, bool) else default}"
