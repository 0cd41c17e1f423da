"""Fraud checks: a POST that only reads; the same question has the same answer."""

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from demo import errors
from demo.replies import ok
from demo.route import LOOKUP, new_router
from demo.shop.chance import number
from demo.spec import Spec

router = new_router()

_REVIEW_FROM_CENTS: Final = 250_000
_BLOCK_FROM_CENTS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The body of `POST /checks`."""

    userId: int
    amountCents: int


@router.post("/checks", tags=[LOOKUP])
async def check(request: Request, body: Check) -> Response:
    """PASS below 2,500 euros, REVIEW from there, BLOCK from 10,000 euros."""
    verdict, lowest, highest = _verdict(body.amountCents)
    score = number(lowest, highest, "fraud", body.userId, body.amountCents) / 100
    return ok({"verdict": verdict, "score": score})


def _verdict(amount_cents: int) -> tuple[str, int, int]:
    if amount_cents >= _BLOCK_FROM_CENTS:
        return "BLOCK", 85, 99
    if amount_cents >= _REVIEW_FROM_CENTS:
        return "REVIEW", 50, 84
    return "PASS", 0, 49


SERVICE: Final = Spec(
    name="fraud",
    about="Whether a payment looks right.",
    router=router,
    errors=errors.flat,
    cache_control="no-store",
)
