"""What a worker process is told to do."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Services to run, on sockets that are open already."""

    parent: int
    """The process without which the worker must not go on."""
    data: str
    delay_ms: float
    sockets: dict[str, int]
    """Service name -> file descriptor."""

    def to_text(self) -> str:
        """As a command-line argument."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_text(text: str) -> "Job":
        """The job a command-line argument stands for."""
        return Job(**json.loads(text))
