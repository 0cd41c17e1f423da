"""Calls to REST APIs: what an endpoint is, and the layers a call passes on its way to the wire."""
