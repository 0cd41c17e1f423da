"""The gateway beside a plain Strawberry app and a bare uvicorn app, over the same services."""
