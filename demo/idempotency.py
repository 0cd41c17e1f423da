"""Writes: the effect and the memory of its key, in one transaction."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from demo.errors import ErrorStyle, Refused
from demo.replies import Reply, as_json, respond
from demo.running import running
from demo.store import Store

KEY_HEADER: Final = "idempotency-key"
REPLAYED_HEADER: Final = "idempotent-replayed"

Change = Callable[[Store], Reply]


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A request that wants to change something."""

    route: str
    key: str | None
    honoured: bool
    fingerprint: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What goes back to the caller, and whether something happened."""

    status: int
    body: bytes
    effect: bool = False
    replayed: bool = False

    def response(self) -> Response:
        """As HTTP."""
        response = respond(self.status, self.body)
        if self.replayed:
            response.headers[REPLAYED_HEADER] = "true"
        return response


async def write(request: Request, change: Change) -> Response:
    """Carry out a change once for its key, and answer; then the answer may be held back."""
    service = running(request)
    asked = await _asked(request, honoured=service.settings.honour_keys)
    # Nothing awaits in here: the connection is shared, so is its transaction.
    with service.store.transaction():
        outcome = _carry_out(service.store, asked, change, service.spec.errors)
    request.state.effect = outcome.effect
    return outcome.response()


async def _asked(request: Request, *, honoured: bool) -> Write:
    digest = blake2b(f"{request.method} {request.url.path}\n".encode(), digest_size=16)
    digest.update(await request.body())
    return Write(
        route=request.state.label,
        key=request.headers.get(KEY_HEADER),
        honoured=honoured,
        fingerprint=digest.digest(),
    )


def _carry_out(store: Store, asked: Write, change: Change, errors: ErrorStyle) -> Outcome:
    remembers = asked.key is not None and asked.honoured
    if remembers and (known := _remembered(store, asked)):
        return known
    outcome = _attempt(store, change, errors)
    if outcome.effect:
        store.add("INSERT INTO _effects (route, key) VALUES (?, ?)", asked.route, asked.key)
    if remembers:
        _remember(store, asked, outcome)
    return outcome


def _attempt(store: Store, change: Change, errors: ErrorStyle) -> Outcome:
    try:
        with store.attempt():
            reply = change(store)
    except Refused as refused:
        return Outcome(status=refused.status, body=as_json(errors(refused)))
    return Outcome(status=reply.status, body=reply.encoded(), effect=True)


def _remembered(store: Store, asked: Write) -> Outcome | None:
    known = store.row("SELECT * FROM _keys WHERE key = ?", asked.key)
    if known is None:
        return None
    if known["fingerprint"] != asked.fingerprint:
        raise Refused(422, "key_reused", f"the key {asked.key!r} came with another request before")
    return Outcome(status=known["status"], body=known["body"], replayed=True)


def _remember(store: Store, asked: Write, outcome: Outcome) -> None:
    store.add(
        "INSERT INTO _keys VALUES (?, ?, ?, ?)",
        asked.key,
        asked.fingerprint,
        outcome.status,
        outcome.body,
    )
