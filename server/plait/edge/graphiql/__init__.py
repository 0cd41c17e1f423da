"""GraphiQL from vendored files, as bytes: no request of the page leaves the host.

The page carries its settings as JSON, not as a script, so that its content security policy can
forbid inline scripts. Files are addressed by a hash of their content and may be kept for ever.
"""

import functools
import gzip
import hashlib
import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from plait.graph.example import Example

_FOLDER = Path(__file__).parent
_TYPES = {".js": "text/javascript", ".css": "text/css"}
_FILES = (
    "vendor/react.production.min.js",
    "vendor/react-dom.production.min.js",
    "vendor/graphiql.min.js",
    "vendor/graphiql.min.css",
    "panel.js",
    "plait.js",
    "plait.css",
)
POLICY = (
    "default-src 'none'; connect-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; worker-src 'self' blob:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
"""The page may talk to its own host alone. Its editor sets styles inline, which is why those are
allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file as it is served."""

    body: bytes
    gzip: bytes
    content_type: str
    headers: tuple[tuple[str, str], ...]


@functools.cache
def assets() -> Mapping[str, Asset]:
    """The page's files by name. They are read and compressed once in a process."""
    return {Path(name).name: _asset(_FOLDER / name) for name in _FILES}


def pages(*, title: str, examples: Sequence[Example]) -> Callable[[str], Asset]:
    """The page by the path that the app is mounted at: it names its files and its endpoint."""

    @functools.lru_cache(maxsize=16)
    def page_at(root_path: str) -> Asset:
        return page(title=title, endpoint=f"{root_path}/graphql", examples=examples)

    return page_at


def page(*, title: str, endpoint: str, examples: Sequence[Example]) -> Asset:
    """The page itself, with the examples as tabs."""
    settings = {"title": title, "endpoint": endpoint, "examples": [_tab(one) for one in examples]}
    text = (_FOLDER / "index.html").read_text(encoding="utf-8")
    text = text.replace("{{title}}", html.escape(title)).replace("{{config}}", _json(settings))
    for name in _FILES:
        short = Path(name).name
        digest = hashlib.sha256((_FOLDER / name).read_bytes()).hexdigest()[:12]
        text = text.replace(
            "{{" + short + "}}", f"{html.escape(endpoint)}/assets/{short}?v={digest}"
        )
    headers = (
        ("cache-control", "no-cache"),
        ("content-security-policy", POLICY),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
    )
    return _made(text.encode(), "text/html", headers)


def _asset(path: Path) -> Asset:
    body = path.read_bytes()
    headers = (
        ("cache-control", "public, max-age=31536000, immutable"),
        ("etag", f'"{hashlib.sha256(body).hexdigest()[:32]}"'),
        ("x-content-type-options", "nosniff"),
    )
    return _made(body, _TYPES[path.suffix], headers)


def _made(body: bytes, content_type: str, headers: tuple[tuple[str, str], ...]) -> Asset:
    return Asset(
        body=body, gzip=gzip.compress(body, 6, mtime=0), content_type=content_type, headers=headers
    )


def _tab(example: Example) -> dict[str, str]:
    return {
        "query": example.query.strip() + "\n",
        "variables": _pretty(example.variables) if example.variables else "",
        "headers": _pretty(example.headers) if example.headers else "",
    }


def _pretty(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _json(value: object) -> str:
    """JSON that cannot end the script element that it stands in."""
    text = msgspec.json.encode(value).decode()
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text
