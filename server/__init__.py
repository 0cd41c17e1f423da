"""Plait: several REST APIs as one GraphQL graph.

What a graph author imports; a test holds this list.
"""

from server.app import create_app
from server.errors import BackendError, GraphError, PlaitError
from server.graph.bind import Graph
from server.graph.bindings import arg, this
from server.graph.declare import Backend, by_ids, grouped
from server.graph.example import Example
from server.graph.field import prop
from server.graph.pages import Connection, cursor_pages
from server.graph.rows import discriminator
from server.writes.outcome import Failed, Outcome, Succeeded, Unknown
from server.writes.together import write_together

__all__ = [
    "Backend",
    "BackendError",
    "Connection",
    "Example",
    "Failed",
    "Graph",
    "GraphError",
    "Outcome",
    "PlaitError",
    "Succeeded",
    "Unknown",
    "arg",
    "by_ids",
    "create_app",
    "cursor_pages",
    "discriminator",
    "grouped",
    "prop",
    "this",
    "write_together",
]
