"""What a gateway that is running tells of itself."""

import re
from collections.abc import Mapping
from typing import Any

import httpx
import msgspec

from plait.errors import BadUserInput, SettingsError
from plait.query.explain import Explanation
from plait.query.interpret import EXPLAIN_HEADER

TIMEOUT_S = 10.0


def plan_of(
    url: str,
    text: str,
    *,
    variables: Mapping[str, object] | None,
    operation_name: str | None,
    headers: Mapping[str, str],
) -> Explanation:
    """The plan of an operation by the gateway at `url`, with the times that its calls took lately.
    Nothing is executed. Raises `SettingsError` where it cannot be asked, `BadUserInput` where it
    refuses the operation."""
    body = {"query": text, "variables": variables, "operationName": operation_name}
    try:
        reply = httpx.post(
            url, json=body, headers={**headers, EXPLAIN_HEADER: "plan"}, timeout=TIMEOUT_S
        )
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        told = str(error) or type(error).__name__
        raise SettingsError(f"The gateway at {_shown(url)} cannot be asked: {told}.") from None
    try:
        answer = msgspec.json.decode(reply.content, type=dict[str, Any])
        if answer.get("errors"):
            told = "\n".join(str(one["message"]) for one in answer["errors"])
            raise BadUserInput(f"The gateway refuses the operation.\n{told}")
        return msgspec.convert(answer["extensions"]["plait"]["plan"], type=Explanation)
    except (msgspec.MsgspecError, KeyError, TypeError):
        raise SettingsError(
            f"{_shown(url)} answers with status {reply.status_code}, and not as a gateway does. "
            "Name the endpoint itself, such as http://127.0.0.1:8000/graphql."
        ) from None


def _shown(url: str) -> str:
    """A URL without the password that it may have."""
    return re.sub(r"//[^/@]*@", "//", url)
