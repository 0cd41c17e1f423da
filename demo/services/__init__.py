"""One module a service; each has its routes, its seeded data and `SERVICE`."""
