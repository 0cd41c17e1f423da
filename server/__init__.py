"""Plait: several REST APIs as one GraphQL graph."""
