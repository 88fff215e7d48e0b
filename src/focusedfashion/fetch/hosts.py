"""How each host is doing: when to ask it again, and when to leave it alone.

A host is in trouble after some failures in a row without a good answer between. Its URLs are then held back for a
moment, more and more; is it still in trouble after its patience, it is left alone for a while and its URLs fail at
once, so that 10,000 URLs of a dead shop cost seconds instead of 10,000 timeouts. A single bad URL among good ones is
no trouble of the host.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass

from focusedfashion import settings
from focusedfashion.fetch.trouble import Trouble

# A host that says again and again that it is too much is asked at a pace, which each such answer slows down and each
# good one speeds up a little: one in twenty is too much then.
_LEAST_INTERVAL, _MOST_INTERVAL = 0.01, 5.0  # seconds; below the first it is asked as fast as it goes
_SLOWER, _FASTER = 1.5, 0.98
_BURST = 0.1  # seconds of a pace that may be made up for: nobody looks more often whose turn it is


@dataclass(slots=True)
class Host:
    """What is known of one host; times are of the monotonic clock, in seconds."""

    failures: int = 0  # in a row
    since: float = 0.0  # the first of them
    reason: str = ""  # the last of them
    answered: float = float("-inf")  # the last good answer
    paused_until: float = 0.0  # its URLs wait
    rests_until: float = 0.0  # its URLs fail at once
    interval: float = 0.0  # between two requests, since it said that there are too many; else 0
    slowed: float = 0.0  # when that grew
    next_at: float = 0.0  # the earliest time for the next one

    @property
    def in_trouble(self) -> bool:
        return self.failures >= settings.HOST_FAILURES

    def wait(self, now: float) -> float:
        """Seconds until it may be asked again."""
        return max(self.paused_until, self.next_at) - now

    def begin(self, now: float) -> None:
        """It is asked now."""
        if self.interval:
            self.next_at = max(self.next_at, now - _BURST) + self.interval


class Hosts:
    """Every host that was asked. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hosts: dict[str, Host] = {}

    def get(self, site: str) -> Host:
        """What is known of a host, for reading: it changes as answers come in."""
        host = self._hosts.get(site)
        if host is None:
            with self._lock:
                host = self._hosts.setdefault(site, Host())
        return host

    def check(self, site: str) -> None:
        """Raises Trouble while a host is left alone. After that, one try is let through at a time."""
        host = self.get(site)
        if not host.rests_until:
            return
        with self._lock:
            now = time.monotonic()
            if now < host.rests_until:
                raise Trouble(
                    f"not asked, because {site} failed {host.failures} times in a row (the last time: {host.reason}) "
                    f"and is left alone for {host.rests_until - now:.0f} seconds"
                )
            host.rests_until = now + settings.HOST_REST

    def note(self, site: str, started: float, trouble: Trouble | None = None, first: bool = True) -> None:
        """A try of this host, begun at `started`, was answered (that there is no such picture, say) or came to this.

        A URL that is tried again because it failed (not `first`) says little of its host by failing again.
        """
        host = self.get(site)
        if trouble is None or not trouble.of_host:
            host.answered = time.monotonic()
            if host.failures or host.interval:
                with self._lock:
                    host.failures = 0
                    host.paused_until = host.rests_until = 0.0
                    host.interval = host.interval * _FASTER if host.interval > _LEAST_INTERVAL else 0.0
            return
        with self._lock:
            if trouble.busy and host.interval and started > host.slowed:  # what was asked at the old pace says nothing
                host.interval = min(host.interval * _SLOWER, _MOST_INTERVAL)
                host.slowed = time.monotonic()
            if first and host.answered < started:  # else others were answered meanwhile: it is this URL
                self._note_failure(host, trouble)

    def _note_failure(self, host: Host, trouble: Trouble) -> None:
        now = time.monotonic()
        host.failures += 1
        host.reason = trouble.reason
        if host.failures == 1:
            host.since = now
        if not host.in_trouble:
            return
        if not trouble.again or now - host.since > settings.HOST_PATIENCE:
            host.rests_until = now + settings.HOST_REST
            host.paused_until = 0.0
            return
        if trouble.busy and not host.interval:
            host.interval, host.slowed = 5 * _LEAST_INTERVAL, now
        backoff = settings.BACKOFF_SECONDS * 2 ** min(host.failures // settings.HOST_FAILURES, 5)
        host.paused_until = max(host.paused_until, now + max(backoff, trouble.wait or 0.0))


def plan_retry(trouble: Trouble, tries: int) -> float | None:
    """Seconds until a URL that has been tried so often is tried again; None gives it up."""
    if not trouble.again or tries >= (settings.LATE_TRIES if trouble.late else settings.FETCH_TRIES):
        return None
    backoff: float = settings.BACKOFF_SECONDS * 2 ** (tries - 1) * random.uniform(0.5, 1.0)
    if trouble.wait is None:
        return backoff
    # A little later than asked: all that were turned away together shall not come back together.
    return max(backoff, trouble.wait + backoff / 4)
