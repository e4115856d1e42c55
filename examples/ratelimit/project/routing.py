"""What the API has: a path, and what it answers."""

from __future__ import annotations

ROUTES: dict[str, object] = {
    "/api/v1/orders": [{"id": 1}],
    "/api/v1/customers": [{"id": 7}],
    "/api/v2/orders": {"orders": [{"id": 1}], "next": None},
    "/api/health": {"ok": True},
    "/api/metrics": {"requests": 0},
    "/docs": "see the README",
}
