"""Plait: several REST APIs as one GraphQL graph.

What a graph author imports; a test holds this list.
"""

import plait.native  # noqa: F401 - first: it decides which files the others are
from plait.app import create_app
from plait.errors import BackendError, BadUserInput, GraphError, PlaitError, SettingsError
from plait.graph.bindings import arg, this
from plait.graph.declare import Backend, by_ids, grouped
from plait.graph.example import Example
from plait.graph.field import prop
from plait.graph.graph import Graph
from plait.graph.pages import Connection, cursor_pages, link_pages, offsets, page_numbers
from plait.graph.rows import discriminator
from plait.writes.outcome import Failed, Outcome, Succeeded, Unknown
from plait.writes.together import write_together

__all__ = [
    "Backend",
    "BackendError",
    "BadUserInput",
    "Connection",
    "Example",
    "Failed",
    "Graph",
    "GraphError",
    "Outcome",
    "PlaitError",
    "SettingsError",
    "Succeeded",
    "Unknown",
    "arg",
    "by_ids",
    "create_app",
    "cursor_pages",
    "discriminator",
    "grouped",
    "link_pages",
    "offsets",
    "page_numbers",
    "prop",
    "this",
    "write_together",
]
