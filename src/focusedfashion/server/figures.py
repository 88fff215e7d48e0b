"""What the server measures of itself, for GET /metrics in Prometheus' text format."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from focusedfashion.server.context import Context

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Figures:
    """Counts requests by route, method and status, and the time that they took; says how full the server is."""

    def __init__(self, context: Context) -> None:
        self._registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self._requests = Counter("focusedfashion_requests", "Requests answered.", labels, registry=self._registry)
        self._seconds = Histogram(
            "focusedfashion_request_seconds",
            "Time to the whole answer.",
            ("method", "route"),
            registry=self._registry,
            buckets=_BUCKETS,
        )
        for name, text, read in (
            ("requests_inside", "Requests that work or wait.", lambda: context.gate.inside),
            ("body_bytes", "Bytes of bodies that are not yet answered.", lambda: context.gate.held),
            ("held_pictures", "Pictures kept for repeated searches.", lambda: len(context.held)),
            ("held_bytes", "Bytes of those pictures.", lambda: context.held.bytes),
        ):
            Gauge(f"focusedfashion_{name}", text, registry=self._registry).set_function(read)
        ProcessCollector(registry=self._registry)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """One answered request; `route` is the route's pattern, so that ids make no series of their own."""
        known = method if method in ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS") else "other"
        self._requests.labels(known, route, str(status)).inc()
        self._seconds.labels(known, route).observe(seconds)

    def show(self) -> bytes:
        """Everything, in the text format."""
        text: bytes = generate_latest(self._registry)
        return text
