"""The HTTP face: the /graphql handler, its guards, and GraphiQL."""
