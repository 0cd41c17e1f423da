"""What client and gateway agree on about an answer: its media type and its status."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Literal, TypeAlias

from plait.edge.body import HttpError
from plait.query.answer import Answer

MediaType: TypeAlias = Literal["application/json", "application/graphql-response+json"]


@lru_cache(maxsize=1_000)  # clients say the same few things again and again
def media_type_of(accept: str) -> MediaType:
    """The answer's media type. Raises `HttpError` 406 when the client accepts none of ours."""
    chosen: MediaType | None = None
    best = 0.0
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        offer = _OFFERS.get(name)
        weight = next((_weight(one[2:]) for one in parameters if one.startswith("q=")), 1.0)
        if offer is not None and weight > best:
            chosen, best = offer, weight
    if chosen is None:
        raise HttpError(406, "Accept application/graphql-response+json or application/json.")
    return chosen


_OFFERS: Mapping[str, MediaType] = {
    "application/graphql-response+json": "application/graphql-response+json",
    "application/json": "application/json",
    "application/*": "application/json",
    "*/*": "application/json",
    "text/html": "application/json",
    "": "application/json",
}


def _weight(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0


def status_of(answer: Answer, media: MediaType) -> int:
    """The HTTP status of an answer, by the specification's section on the media type."""
    return 200 if media == "application/json" and not answer.always else answer.status
