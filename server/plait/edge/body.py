"""What a client sends to /graphql, as a request."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import msgspec

from plait.backend.numbers import number


class GraphQLBody(msgspec.Struct, rename="camel"):
    """The body of a POST, as the specification has it."""

    query: str | None = None
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    extensions: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class HttpError(Exception):
    """A request that is no GraphQL request."""

    status: int
    message: str
    code: str = "BAD_REQUEST"
    headers: tuple[tuple[bytes, bytes], ...] = ()


_decode_body = msgspec.json.Decoder(GraphQLBody, float_hook=number).decode
_decode_variables = msgspec.json.Decoder(dict[str, Any], float_hook=number).decode


def body_of_query(query_string: bytes) -> GraphQLBody:
    """A GET's parameters as a request. Raises `HttpError`."""
    try:
        found = parse_qs(
            query_string.decode("ascii"), strict_parsing=bool(query_string), max_num_fields=10
        )
        fields = {name: values[0] for name, values in found.items()}
        variables = _decode_variables(fields["variables"]) if "variables" in fields else None
        extensions = (
            msgspec.json.decode(fields["extensions"], type=dict[str, Any])
            if "extensions" in fields
            else None
        )
    except (ValueError, msgspec.DecodeError, RecursionError):
        raise HttpError(400, "The query string cannot be read.") from None
    if "query" not in fields:
        _refuse_persisted(extensions)
        raise HttpError(400, "A GET needs the parameter 'query'; or POST JSON with a 'query'.")
    return GraphQLBody(
        query=fields["query"], variables=variables, operation_name=fields.get("operationName")
    )


def _refuse_persisted(extensions: Mapping[str, Any] | None) -> None:
    """A client of Apollo's automatic persisted queries sends a hash first, and the text when it is
    told that hashes are not known here: in these words, with 200."""
    if extensions and "persistedQuery" in extensions:
        raise HttpError(200, "PersistedQueryNotSupported", "PERSISTED_QUERY_NOT_SUPPORTED")


def decoded_body(body: bytes) -> GraphQLBody:
    """A POST's body as a request. Raises `HttpError`."""
    try:
        found = _decode_body(body)
    except msgspec.ValidationError as error:
        # msgspec's words name the property and the type that it must have, and no value.
        raise HttpError(400, f"The body is not a GraphQL request: {error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise HttpError(400, "The body is not valid JSON in UTF-8.") from None
    if found.query is None:
        _refuse_persisted(found.extensions)
        raise HttpError(400, "The body is not a GraphQL request: it has no 'query'.")
    return found
