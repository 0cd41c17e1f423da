"""Every error Plait raises, and the stable code each one carries.

    PlaitError
    ├── GraphError                GRAPH_INVALID            mistakes in a graph, all of them
    ├── SettingsError             SETTINGS_INVALID         a setting is missing or cannot be right
    ├── RequestError                                       the client's request cannot be served
    │   ├── BadUserInput          BAD_USER_INPUT           a value that no backend may be sent
    │   ├── OperationTooCostly    OPERATION_TOO_COSTLY     more than a limit allows
    │   │   └── RequestTimeout    REQUEST_TIMEOUT          not finished in time
    │   ├── KeyMissing            IDEMPOTENCY_KEY_MISSING
    │   ├── KeyInvalid            IDEMPOTENCY_KEY_INVALID
    │   ├── KeyReused             IDEMPOTENCY_KEY_REUSED   same key, another payload
    │   └── KeyInProgress         IDEMPOTENCY_KEY_IN_PROGRESS
    ├── LedgerUnavailable         LEDGER_UNAVAILABLE       writes are refused, nothing was sent
    ├── GatewayNotStarted         GATEWAY_NOT_STARTED      mounted without its lifespan
    └── BackendError                                       a call failed; says where
        ├── BackendUnreachable    BACKEND_UNREACHABLE      no connection: nothing was sent
        ├── BackendDisconnected   BACKEND_DISCONNECTED     the connection broke once it was open
        ├── BackendTimeout        BACKEND_TIMEOUT
        ├── BackendHttpError      BACKEND_HTTP_ERROR       a status that is no success
        ├── BackendRefused        BACKEND_REFUSED          a success whose body says that it failed
        ├── BackendRedirected     BACKEND_REDIRECTED       a redirect not to be followed, or a loop
        ├── BadBackendResponse    BAD_BACKEND_RESPONSE     not JSON, or not as declared
        ├── ResponseTooLarge      BACKEND_RESPONSE_TOO_LARGE
        └── NotFound              NOT_FOUND                no such row where there must be one

A message says what happened and where; it never carries a backend's body, its URL or a credential.
Where an error becomes a GraphQL error is `query/respond.py`, and nowhere else.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

E = TypeVar("E", bound="PlaitError")


class PlaitError(Exception):
    """The root of the tree. `code` is stable: clients and dashboards may depend on it."""

    code: ClassVar[str] = "INTERNAL_ERROR"
    http_status: ClassVar[int | None] = None
    """The status of an answer without data, where the client takes one that tells."""
    retryable: bool | None = None
    """Whether the same request may succeed later. `None`: the error does not say."""
    retry_after_s: float | None = None
    """How long to wait before it is asked again."""


class SettingsError(PlaitError):
    """A setting is missing or cannot be right. The message names the environment variable."""

    code = "SETTINGS_INVALID"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One mistake in a graph: where it stands, what is wrong and what to write instead."""

    where: str
    """The type and field, such as `User.orders`; or the backend or endpoint."""
    file: str
    line: int
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where} ({self.file}:{self.line})\n    {self.problem}\n    → {self.remedy}"


class GraphError(PlaitError):
    """A graph cannot be built. `mistakes` lists everything that is wrong with it, not just the
    first."""

    code = "GRAPH_INVALID"

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        self.mistakes = mistakes
        count = f"{len(mistakes)} mistake{'s' if len(mistakes) != 1 else ''}"
        super().__init__(f"This graph has {count}.\n\n" + "\n\n".join(map(str, mistakes)))


class RequestError(PlaitError):
    """The client's request cannot be served as it is; sending it again unchanged cannot help."""

    http_status = 400


class BadUserInput(RequestError):
    """A value that may not be sent to a backend, such as a path parameter holding `../`."""

    code = "BAD_USER_INPUT"


class OperationTooCostly(RequestError):
    """One operation asks for more than a limit allows. Ask for less at once.

    `limit` is the setting that holds it, without `PLAIT_` and in lower case; `value` is its value.
    """

    code = "OPERATION_TOO_COSTLY"

    def __init__(self, message: str, *, limit: str, value: float) -> None:
        super().__init__(message)
        self.limit = limit
        self.value = value


class RequestTimeout(OperationTooCostly):
    """The operation was not finished in time. What was written until then stays written."""

    code = "REQUEST_TIMEOUT"
    http_status = 504


class KeyMissing(RequestError):
    """The graph requires an `Idempotency-Key` for this mutation and none was sent."""

    code = "IDEMPOTENCY_KEY_MISSING"
    retryable = False


class KeyInvalid(RequestError):
    """The `Idempotency-Key` is not one: empty, too long, or with characters it may not have."""

    code = "IDEMPOTENCY_KEY_INVALID"
    retryable = False


class KeyReused(RequestError):
    """The `Idempotency-Key` was used before with another payload. Nothing was sent."""

    code = "IDEMPOTENCY_KEY_REUSED"
    retryable = False
    http_status = 422


class KeyInProgress(RequestError):
    """A mutation with this `Idempotency-Key` is still running. Ask again with the same key."""

    code = "IDEMPOTENCY_KEY_IN_PROGRESS"
    http_status = 409
    retryable = True

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class LedgerUnavailable(PlaitError):
    """The ledger of writes cannot be used, so nothing was sent. Reads go on."""

    code = "LEDGER_UNAVAILABLE"
    http_status = 503
    retryable = True


class GatewayNotStarted(PlaitError):
    """The app is mounted in another one that does not run its lifespan."""

    code = "GATEWAY_NOT_STARTED"
    http_status = 503

    def __init__(self) -> None:
        super().__init__(
            "The gateway has not been started. An app that mounts it must run its lifespan: "
            "FastAPI(lifespan=api.lifespan)."
        )


def own(error: E) -> E:
    """A copy to raise. What is raised collects the places that it went through, and many may share
    one error."""
    made = error.__class__.__new__(error.__class__, *error.args)
    made.__dict__.update(error.__dict__)
    return made


WasSent = Literal["no", "maybe"]


class BackendError(PlaitError):
    """A call to a backend failed.

    `sent` tells whether the backend may have seen the request: a write that failed with `maybe` is
    *unknown*, not failed.
    """

    code = "BACKEND_ERROR"
    retryable = False
    may_ask_again: bool | None = None
    """Set on what became of a write: whether the same request may ask again."""

    def __init__(
        self,
        message: str,
        *,
        backend: str,
        endpoint: str,
        status: int | None = None,
        attempts: int = 1,
        sent: WasSent = "maybe",
        retry_after_s: float | None = None,
        reason: str | None = None,
        problem: str | None = None,
    ) -> None:
        super().__init__(message)
        self.backend = backend
        self.endpoint = endpoint
        self.status = status
        self.attempts = attempts
        self.sent = sent
        self.retry_after_s = retry_after_s
        self.reason = reason
        """What went wrong below HTTP, for logs: dns, refused, tls, reset, and so on."""
        self.problem = problem
        """What the backend's problem document says, for logs."""


class BackendUnreachable(BackendError):
    """No connection: refused, no such host, TLS failure, or none free in time. Nothing was sent."""

    code = "BACKEND_UNREACHABLE"
    retryable = True


class BackendDisconnected(BackendError):
    """The connection was open and then broke, before the reply was whole."""

    code = "BACKEND_DISCONNECTED"
    retryable = True


class BackendTimeout(BackendError):
    """The backend did not answer within its timeout."""

    code = "BACKEND_TIMEOUT"
    retryable = True


class BackendHttpError(BackendError):
    """The backend answered with a status that is no success."""

    code = "BACKEND_HTTP_ERROR"

    @property
    def is_transient(self) -> bool:
        """Whether the status speaks of the moment (overload, restart), not of the request."""
        return self.status in (408, 425, 429, 500, 502, 503, 504)


class BackendRefused(BackendError):
    """A status of success, and a body that says, as the endpoint's `failed_when` declares, that the
    call failed."""

    code = "BACKEND_REFUSED"


class BackendRedirected(BackendError):
    """A redirect that may not be followed: to another host, or one too many."""

    code = "BACKEND_REDIRECTED"


class BadBackendResponse(BackendError):
    """The reply is not JSON, or does not have the declared shape or type."""

    code = "BAD_BACKEND_RESPONSE"


class ResponseTooLarge(BackendError):
    """The reply is larger than the endpoint allows, as sent or once decompressed."""

    code = "BACKEND_RESPONSE_TOO_LARGE"


class NotFound(BackendError):
    """The backend has no such row, and the field may not be null."""

    code = "NOT_FOUND"


def is_retryable(error: BackendError) -> bool:
    """Whether the call that failed with `error` may succeed when it is made again later."""
    if error.may_ask_again is not None:
        return error.may_ask_again
    return error.is_transient if isinstance(error, BackendHttpError) else bool(error.retryable)
