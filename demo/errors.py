"""How a service says no, and the five shapes in which the shop's services say it."""

from typing import Protocol, TypeVar

Thing = TypeVar("Thing")


class Refused(Exception):
    """The request cannot be carried out; becomes an error reply in the service's own style."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class ErrorStyle(Protocol):
    """Makes the JSON body of an error reply."""

    def __call__(self, refused: Refused, /) -> object: ...


def detail(refused: Refused) -> object:
    """`{"detail": ...}`"""
    return {"detail": refused.message}


def flat(refused: Refused) -> object:
    """`{"code": ..., "message": ...}`"""
    return {"code": refused.code, "message": refused.message}


def nested(refused: Refused) -> object:
    """`{"error": {"code": ..., "message": ...}}`"""
    return {"error": flat(refused)}


def listed(refused: Refused) -> object:
    """`{"errors": [{"status": ..., "title": ..., "detail": ...}]}`"""
    return {
        "errors": [
            {"status": str(refused.status), "title": refused.code, "detail": refused.message}
        ]
    }


def problem(refused: Refused) -> object:
    """The members of RFC 9457, `{"type", "title", "status", "detail"}`."""
    return {
        "type": "about:blank",
        "title": refused.code,
        "status": refused.status,
        "detail": refused.message,
    }


def not_found(what: str, which: object) -> Refused:
    """The usual 404."""
    return Refused(404, "not_found", f"no such {what}: {which}")


def found(thing: Thing | None, what: str, which: object) -> Thing:
    """The thing, or the usual 404 when there is none."""
    if thing is None:
        raise not_found(what, which)
    return thing
