"""The shop's graph: what a user of Plait edits or replaces. One file a noun; this one puts them
together."""

from plait import Graph
from resolvers.articles import Article
from resolvers.examples import EXAMPLES
from resolvers.mutations import Mutation
from resolvers.queries import Query

graph = Graph(
    query=Query,
    mutation=Mutation,
    types=[Article],
    examples=EXAMPLES,
    title="Plait shop",
    require_idempotency_key=True,  # each mutation writes to several APIs: a retry must be safe
)

__all__ = ["graph"]
