"""The REST services behind Plait's demo graph: a shop.

`python -m demo` runs them; `demo.launch.Services` runs them from tests and from `demo.gateway`.
"""

from demo.ports import DEFAULT_BASE_PORT, PORTS, urls

__all__ = ["DEFAULT_BASE_PORT", "PORTS", "urls"]
