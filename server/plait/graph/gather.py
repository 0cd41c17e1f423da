"""Waiting for several at once: all of them, or the first error.

As `asyncio.gather` with graphql-core's way of giving up, and without a word in the log of what was
given up.
"""

import asyncio
from collections.abc import Collection, Sequence
from typing import Any


async def all_of(futures: Sequence[asyncio.Future[Any]]) -> list[Any]:
    """What all of them bring. The first error ends the others."""
    try:
        _, pending = await asyncio.wait(futures, return_when=asyncio.FIRST_EXCEPTION)
    except asyncio.CancelledError:
        await _given_up(futures)
        raise
    failed = [one for one in futures if one.done() and (one.cancelled() or one.exception())]
    if not failed:
        return [one.result() for one in futures]
    await _given_up(pending)
    failed[0].result()
    raise AssertionError  # it has failed


async def _given_up(futures: Collection[asyncio.Future[Any]]) -> None:
    left = [one for one in futures if not one.done()]
    for one in left:
        one.cancel()
    if left:
        await asyncio.wait(left)
    for one in futures:
        if not one.cancelled():
            one.exception()  # seen: nobody else will look at it
