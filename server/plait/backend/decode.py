"""From a reply to the rows of each key. Pure; every way in which a body can be wrong ends here."""

import codecs
import json
import re
from collections.abc import Mapping, Sequence
from email.message import Message
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urljoin, urlsplit

import msgspec

from plait.backend.call import Call, Reply
from plait.backend.keys import Key
from plait.backend.loads import Row
from plait.backend.numbers import decode
from plait.backend.paths import Path, is_absent, path_text, property_of
from plait.backend.spec import Batch, EndpointSpec
from plait.backend.template import query_text
from plait.errors import BackendRefused, BadBackendResponse


def single_row(endpoint: EndpointSpec, reply: Reply) -> Row:
    """What a single reply holds, below the endpoint's `unwrap`; nothing where the reply is empty. A
    page is its `body` and those of its `headers` that belong to it. Raises `BadBackendResponse`."""
    body = accepted(endpoint, reply)
    if endpoint.page_headers is not None and body is not None:
        kept = endpoint.page_headers
        headers = {name: reply.headers[name] for name in kept if name in reply.headers}
        return {"body": body, "headers": headers}
    if body is None:
        return None
    return unwrapped(endpoint, body, endpoint.unwrap)


def listed_rows(endpoint: EndpointSpec, batch: Batch, reply: Reply) -> list[Any]:
    """The rows of a batch's reply; none where it is empty. Raises `BadBackendResponse`."""
    unwrap = endpoint.unwrap if batch.unwrap is None else batch.unwrap
    body = accepted(endpoint, reply)
    rows = [] if body is None else unwrapped(endpoint, body, unwrap)
    if not isinstance(rows, list):
        raise bad_reply(endpoint, "the batch's reply is not a list of rows")
    return rows


def batch_rows(
    endpoint: EndpointSpec, batch: Batch, rows: Sequence[Any], keys: Sequence[Key]
) -> tuple[dict[Key, Row | BadBackendResponse], int]:
    """Each key's row (`None` when missing) or rows (`[]`), and how many rows nobody asked for.

    A key whose rows contradict each other gets an error of its own. When some row tells no key,
    the keys that found nothing get an error too: the row may have been theirs. So may all rows of
    a reply that has as many as were asked for, and none of them with a key that was. Raises
    `BadBackendResponse` then.
    """
    compared = {key: tuple([comparable(batch, part) for part in key[1:]]) for key in keys}
    found, extra, keyless = _by_key(batch, rows, set(compared.values()))
    if extra >= len(keys) and not found and not keyless:
        names = " and ".join(f"'{path_text(path)}'" for path in batch.keys.values())
        raise bad_reply(
            endpoint, f"no row of the batch {batch.label} has one of the keys asked for as {names}"
        )
    return {
        key: _of_key(endpoint, batch, found.get(text), keyless) for key, text in compared.items()
    }, extra


def decoded(endpoint: EndpointSpec, reply: Reply) -> Any:
    """The body as JSON, `None` where there is none. Raises `BadBackendResponse`, without any of the
    body in the message."""
    body = reply.body
    if not body:
        return None
    try:
        if not is_plain_json(reply):
            body = _as_utf8(body, reply.headers.get("content-type", ""))
        return decode(body) if body.strip() else None
    except (msgspec.DecodeError, UnicodeError, LookupError, RecursionError):
        kind = "HTML" if body.lstrip()[:1] == b"<" else "not valid JSON"
        raise bad_reply(endpoint, f"the reply is {kind}") from None


_OPENERS: Final = frozenset(b'{["')


def is_plain_json(reply: Reply) -> bool:
    """Whether a body is JSON in UTF-8 as far as its beginning and its headers tell."""
    body = reply.body
    if not body or body[0] not in _OPENERS or 0 in body[:4]:
        return False
    return reply.said.is_utf8


def accepted(endpoint: EndpointSpec, reply: Reply) -> Any:
    """The body as JSON, where it does not say itself that the call failed. Raises
    `BackendRefused`, `BadBackendResponse`."""
    body = decoded(endpoint, reply)
    for path, values in endpoint.failed_when:
        if _says_failed(body, path, values):
            name = endpoint.backend.name
            raise BackendRefused(
                f"Backend '{name}' answered with status {reply.status}, and says in its reply that "
                "the call failed.",
                backend=name,
                endpoint=endpoint.label,
                status=reply.status,
            )
    return body


def _says_failed(body: Any, path: Path, values: tuple[Any, ...] | None) -> bool:
    if is_absent(body, path):
        return False  # not even null
    found = property_of(body, path)
    return bool(found) if values is None else any(_equal(found, value) for value in values)


def _equal(found: Any, value: Any) -> bool:
    """As JSON: true is not 1."""
    return isinstance(found, bool) == isinstance(value, bool) and bool(found == value)


def next_page(endpoint: EndpointSpec, reply: Reply) -> str | None:
    """The URL of the page that follows a list that is one page of several, if there is one."""
    if endpoint.next:
        url = property_of(decoded(endpoint, reply), endpoint.next)
        if url and not isinstance(url, str):
            raise bad_reply(endpoint, f"'{path_text(endpoint.next)}' is no URL of a next page")
        return url or None
    return linked(reply.headers, "next")


def page_call(call: Call, url: str, base: str) -> Call:
    """The call for the page at `url`, which `call`'s reply named. Raises `BadBackendResponse` when
    it is not below `base`: what goes along with a call is for that place alone."""
    root = urlsplit(base)
    prefix = root.path.rstrip("/")
    try:
        target = urlsplit(urljoin(f"{base.rstrip('/')}{call.path}?", url))
        origins = [(one.scheme, one.hostname, one.port) for one in (root, target)]
    except ValueError:
        raise bad_reply(call.endpoint, "its next page has no valid address") from None
    if origins[0] != origins[1] or not target.path.startswith(f"{prefix}/"):
        raise bad_reply(call.endpoint, "its next page is at another place")
    path = quote(target.path.removeprefix(prefix), safe="/%:@!$&'()*+,;=~-._")
    query = query_text(parse_qsl(target.query, keep_blank_values=True))
    return call.at(path, query)


_LINK = re.compile(r'<([^>]*)>((?:\s*;\s*[^\s=;,]+(?:\s*=\s*(?:"[^"]*"|[^\s";,]+))?)*)')
_REL = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s";,]+))', re.IGNORECASE)


def linked(headers: Mapping[str, str], relation: str) -> str | None:
    """The target of the first `Link` with this relation (RFC 8288, section 3)."""
    for target, parameters in _LINK.findall(headers.get("link", "")):
        rel = _REL.search(parameters)
        if rel and relation in (rel[1] or rel[2] or "").lower().split():
            return str(target)
    return None


def unwrapped(endpoint: EndpointSpec, value: Any, path: tuple[str, ...]) -> Any:
    """What lies at `path` below `value`. Raises `BadBackendResponse` when the path is not there."""
    for name in path:
        if not isinstance(value, dict) or name not in value:
            raise bad_reply(endpoint, f"the reply has no property '{path_text(path)}'")
        value = value[name]
    return value


def bad_reply(endpoint: EndpointSpec, what: str) -> BadBackendResponse:
    """The error of a reply that cannot be used."""
    message = f"Backend '{endpoint.backend.name}' sent a reply that cannot be used: {what}."
    return BadBackendResponse(message, backend=endpoint.backend.name, endpoint=endpoint.label)


def _as_utf8(body: bytes, content_type: str) -> bytes:
    """JSON is UTF-8 (RFC 8259, section 8.1); what says, or shows, that it is something else is read
    as that."""
    told = Message()
    told["content-type"] = content_type
    charset = told.get_content_charset()
    if body.startswith(codecs.BOM_UTF8):
        return body.removeprefix(codecs.BOM_UTF8)
    if charset is None or charset.startswith("utf"):
        charset = json.detect_encoding(body)
    return body if charset in ("utf-8", "utf8") else body.decode(charset).encode()


def _by_key(
    batch: Batch, rows: Sequence[Any], wanted: set[tuple[str, ...]]
) -> tuple[dict[tuple[str, ...], list[Any]], int, bool]:
    usual = _by_plain_key(batch, rows)
    if usual is not None:
        kept = {key: group for key, group in usual.items() if key in wanted}
        return kept, len(rows) - sum(map(len, kept.values())), False
    found: dict[tuple[str, ...], list[Any]] = {}
    extra = 0
    keyless = False
    for row in rows:
        if row is None:
            continue  # how some say, at its place, that a row is missing
        key = _row_key(batch, row)
        if key is None:
            keyless = True
        elif key in wanted:
            found.setdefault(key, []).append(row)
        else:
            extra += 1
    return found, extra, keyless


def _by_plain_key(batch: Batch, rows: Sequence[Any]) -> dict[tuple[str, ...], list[Any]] | None:
    """The rows by their keys, where each has one property with a whole number or a text for it;
    else `None`. Most replies are so, and the text of a key is made once for all of its rows."""
    (path, *more) = batch.keys.values()
    by_value = None if more or len(path) != 1 else grouped(path[0], rows)
    if by_value is None:
        return None
    found: dict[tuple[str, ...], list[Any]] = {
        (str(value) if type(value) is int else comparable(batch, str(value)),): group
        for value, group in by_value.items()
    }
    return found if len(found) == len(by_value) else None


def grouped(name: str, rows: Sequence[Any]) -> dict[int | str, list[Any]] | None:
    """Rows by the property `name`, where each has a whole number or a text there; else `None`."""
    by_value: dict[int | str, list[Any]] = {}
    for row in rows:
        if type(row) is not dict:
            return None
        value = row.get(name)
        if type(value) is not int and type(value) is not str:
            return None
        group = by_value.get(value)
        if group is None:
            by_value[value] = [row]
        else:
            group.append(row)
    return by_value


def _row_key(batch: Batch, row: Any) -> tuple[str, ...] | None:
    parts = []
    for path in batch.keys.values():
        value = property_of(row, path)
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, (str, int, float)):
            return None
        parts.append(comparable(batch, value if isinstance(value, str) else str(value)))
    return tuple(parts)


_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_UUID_CHARACTERS = 36


def comparable(batch: Batch, text: str) -> str:
    """A text of a key as it is compared: with those of rows, and with others of its kind."""
    if batch.key_matches == "ignore_case":
        return text.casefold()
    if len(text) == _UUID_CHARACTERS and _UUID.fullmatch(text):
        return text.lower()
    return text


def _of_key(
    endpoint: EndpointSpec, batch: Batch, rows: list[Any] | None, keyless: bool
) -> Row | BadBackendResponse:
    if rows is None:
        if keyless:
            keys = " and ".join(f"'{path_text(path)}'" for path in batch.keys.values())
            return bad_reply(
                endpoint,
                f"a row of the batch {batch.method} {batch.path.text} has no {keys} to tell its "
                "key by: name the property in key=...",
            )
        return [] if batch.many else None
    if batch.many:
        return rows
    if any(row != rows[0] for row in rows[1:]):
        return bad_reply(endpoint, "the batch holds several different rows for one key")
    return rows[0]
