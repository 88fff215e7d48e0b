"""Many URLs at once, ahead of the one who uses them: who is next, on which host, and when to stop.

The consumer's thread reads the source and hands results over; one thread per connection downloads. Each host has a
lane: a queue, and room for some downloads at once. A download that takes much longer than is usual there makes room for
another; where too many do, the oldest is broken off and tried again, with patience, behind the others. So stalled
answers do not hold up the good ones. A URL that waits for its next try takes no place at all.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Generic, TypeVar

from focusedfashion import settings
from focusedfashion.errors import FetchError
from focusedfashion.fetch.exchange import Answer, Request
from focusedfashion.fetch.hosts import Host, Hosts, plan_retry
from focusedfashion.fetch.places import parse_url, show_url
from focusedfashion.fetch.trouble import Trouble
from focusedfashion.fetch.wire import Attempt, Watch

T = TypeVar("T")

_STOP_SECONDS = 1.0  # that the threads have to end; those in the resolver or in a TLS handshake are left behind


@dataclass(slots=True, eq=False)
class _Lane:
    """One host's URLs."""

    site: str
    host: Host
    jobs: deque[_Job[Any]]
    late: deque[_Job[Any]]  # those that took too long before
    busy: int = 0  # downloads under way that take up room
    aside: list[_Job[Any]] = field(default_factory=list)  # those that have made room, the oldest first
    trying_late: int = 0  # of the late ones, under way
    usual: float = 0.0  # seconds that a download takes there; 0 before the first

    def choose(self, now: float) -> deque[_Job[Any]] | None:
        """The queue to take the next job from, None if nothing may begin now."""
        if self.busy >= settings.HOST_CONNECTIONS or self.host.wait(now) > 0:
            return None
        if self.late and (not self.jobs or self.trying_late < settings.HOST_LATE):
            return self.late
        return self.jobs or None

    def is_slow(self, age: float) -> bool:
        """Whether a download of this age, in seconds, takes long for this host."""
        return age > max(settings.SLOW_SECONDS, 8 * self.usual)

    def may_cut(self, job: _Job[Any], age: float) -> bool:
        """Whether a download that has made room may be broken off: the first time, and at length the second."""
        if job.cuts == 0:
            return self.host.answered > time.monotonic() - age  # else the host as a whole has become slow
        return job.cuts == 1 and age > settings.LATE_SECONDS and bool(self.late)

    def learn(self, seconds: float) -> None:
        """A download took so long. One alone does not change what is usual by much."""
        if self.usual:
            self.usual += (min(seconds, 4 * max(self.usual, settings.SLOW_SECONDS)) - self.usual) / 8
        else:
            self.usual = seconds


@dataclass(slots=True, eq=False)
class _Job(Generic[T]):
    """An entry of the source that waits for its answer."""

    entry: T
    request: Request
    lane: _Lane
    attempt: Attempt | None = None
    slow: bool = False  # no longer counts among all downloads
    late: bool = False  # tried behind the others, since it took too long before
    cut: bool = False  # being broken off to make room
    cuts: int = 0  # how often it was
    held: int = 0  # bytes beyond the first piece


class Ahead(Generic[T]):
    """The downloads of one source. `run` may be called once."""

    def __init__(
        self, download: Callable[[Request, Attempt], Answer], hosts: Hosts, watch: Watch, allow_private: bool
    ) -> None:
        self._download = download
        self._hosts = hosts
        self._watch = watch
        self._allow_private = allow_private
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)  # a worker may have something to do
        self._news = threading.Condition(self._lock)  # the consumer may
        self._room = threading.Condition(self._lock)  # a download that waits for memory may
        self._lanes: dict[str, _Lane] = {}
        self._turns: OrderedDict[str, _Lane] = OrderedDict()  # those with jobs; the first is next
        self._later: list[tuple[float, int, _Job[T]]] = []  # a heap of those that wait for their next try
        self._numbers = count()
        self._running: set[_Job[T]] = set()
        self._done: deque[tuple[_Job[T], Answer | FetchError | BaseException]] = deque()
        self._open = 0  # entries between the source and the consumer
        self._slow = 0  # running downloads that do not count
        self._held = 0  # bytes of results, and of downloads beyond their first piece
        self._large: _Job[T] | None = None  # the one that goes on when memory is full, so that something ends
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._closed = False

    def run(
        self, entries: Iterable[T], ask: Callable[[T], tuple[str, str] | None]
    ) -> Generator[tuple[T, Answer | FetchError | None]]:
        """See `Fetcher.fetch_ahead`."""
        source = iter(entries)
        more = True
        self._watch.add(self)
        try:
            while more or self._open:
                # One entry in for each that goes out, and as many as fit while nothing is ready.
                if more and self._open < settings.AHEAD_ENTRIES:
                    try:
                        entry = next(source)
                    except StopIteration:
                        more = False
                        continue
                    question = ask(entry)
                    if question is None:
                        yield entry, None
                    elif (error := self._add(entry, *question)) is not None:
                        yield entry, error
                result = self._take(wait=not more or self._open >= settings.AHEAD_ENTRIES)
                if result is not None:
                    yield result
        finally:
            self._close()

    def tick(self, now: float) -> None:
        """What time brings, from the watch: tries that end or make room, URLs whose wait is over."""
        with self._lock:
            for job in self._running:
                if job.attempt is not None:
                    job.attempt.tick(now)
                    self._make_room(job, job.attempt, now)
            while self._later and self._later[0][0] <= now:
                self._queue(heapq.heappop(self._later)[2])
            self._rouse()

    def _add(self, entry: T, url: str, validator: str) -> FetchError | None:
        try:
            place = parse_url(url)
        except FetchError as error:
            return error
        request = Request(place, validator, settings.MAX_PICTURE_BYTES, "image")
        with self._lock:
            lane = self._lanes.get(place.site)
            if lane is None:
                lane = self._lanes[place.site] = _Lane(place.site, self._hosts.get(place.site), deque(), deque())
            self._open += 1
            self._queue(_Job(entry, request, lane))
            self._rouse()
        return None

    def _take(self, wait: bool) -> tuple[T, Answer | FetchError] | None:
        """The next result; without `wait` None if there is none yet."""
        with self._lock:
            while not self._done:
                if not wait or not self._open:
                    return None
                self._news.wait()
            job, outcome = self._done.popleft()
            self._open -= 1
            if isinstance(outcome, Answer):
                self._hold(-_measure(outcome))
                self._rouse()
        if not isinstance(outcome, Answer | FetchError):
            raise outcome
        return job.entry, outcome

    # What follows, up to the workers, is called with the lock held.

    def _queue(self, job: _Job[T]) -> None:
        if job.late:
            job.lane.late.append(job)
        elif job.request.tries:
            job.lane.jobs.appendleft(job)
        else:
            job.lane.jobs.append(job)
        self._turns.setdefault(job.lane.site, job.lane)

    def _find(self) -> tuple[_Lane, deque[_Job[T]]] | None:
        """The lane and its queue that the next download may begin from."""
        if len(self._running) - self._slow >= settings.CONNECTIONS or self._held >= settings.AHEAD_BYTES:
            return None
        now = time.monotonic()
        for lane in self._turns.values():
            if queue := lane.choose(now):
                return lane, queue
        return None

    def _rouse(self) -> None:
        """Gets one more worker going, if there is something to do; it will rouse the next."""
        if self._closed or self._find() is None:
            return
        if self._idle:
            self._work.notify()
        elif len(self._threads) < settings.CONNECTIONS + settings.MAX_SLOW:
            thread = threading.Thread(target=self._run_worker, name="focusedfashion-fetch", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the system gives no more of them
                if not self._threads:
                    raise
            else:
                self._threads.append(thread)

    def _begin(self, lane: _Lane, queue: deque[_Job[T]]) -> tuple[_Job[T], Attempt]:
        job = queue.popleft()
        if lane.jobs or lane.late:
            self._turns.move_to_end(lane.site)
        else:
            del self._turns[lane.site]
        lane.trying_late += job.late
        lane.busy += 1
        lane.host.begin(time.monotonic())
        job.attempt = attempt = Attempt(self._allow_private, job.request.most)
        attempt.grow = lambda size: self._grow(job, attempt, size)
        self._running.add(job)
        return job, attempt

    def _make_room(self, job: _Job[T], attempt: Attempt, now: float) -> None:
        """A download that takes long stops counting, as far as there is room for such."""
        lane = job.lane
        if (job.slow and job in lane.aside) or not lane.is_slow(now - attempt.started):
            return
        if not job.slow and self._slow < settings.MAX_SLOW:
            job.slow = True
            self._slow += 1
        if not lane.usual:
            return  # it has given nothing yet: it is the host that is slow
        if len(lane.aside) < settings.HOST_SLOW:
            lane.aside.append(job)
            lane.busy -= 1
        else:
            for other in lane.aside:
                if other.attempt is not None and not other.cut and lane.may_cut(other, now - other.attempt.started):
                    other.cut = True
                    other.attempt.dismiss("it took too long")
                    break

    def _settle(self, job: _Job[T], outcome: Answer | BaseException) -> None:
        """A try is over: its answer, its error, or a time for the next one."""
        attempt, lane, request = job.attempt, job.lane, job.request
        job.attempt = None
        self._running.discard(job)
        self._slow -= job.slow
        lane.trying_late -= job.late
        if job in lane.aside:
            lane.aside.remove(job)
        else:
            lane.busy -= 1
        job.slow = False
        took = time.monotonic() - attempt.started if attempt is not None else 0.0
        self._hold(-job.held)
        job.held = 0
        if self._large is job:
            self._large = None
        if isinstance(outcome, Trouble) and job.cut:
            request.tries = max(1, request.tries)  # its next try has more patience
            job.late, job.cut, job.cuts = True, False, job.cuts + 1
            self._queue(job)
            return
        if isinstance(outcome, Trouble):
            request.tries += 1
            wait = plan_retry(outcome, request.tries)
            job.late = job.late or outcome.late
            if wait is not None:
                heapq.heappush(self._later, (time.monotonic() + wait, next(self._numbers), job))
                return
            outcome = give_up(request, outcome)
        elif isinstance(outcome, Answer):
            if not job.late:
                lane.learn(took)
            self._hold(_measure(outcome))
        self._done.append((job, outcome))
        self._news.notify()

    def _hold(self, size: int) -> None:
        self._held += size
        if size < 0:
            self._room.notify_all()

    # Called by the workers.

    def _run_worker(self) -> None:
        job: _Job[T] | None = None
        outcome: Answer | BaseException | None = None
        while True:
            with self._lock:
                if job is not None and outcome is not None:
                    self._settle(job, outcome)
                job = outcome = None  # nothing is kept while this waits
                while (found := self._find()) is None and not self._closed:
                    self._idle += 1
                    self._work.wait()
                    self._idle -= 1
                if self._closed or found is None:
                    return
                job, attempt = self._begin(*found)
                self._rouse()
            try:
                outcome = self._download(job.request, attempt)
            except BaseException as error:
                outcome = error

    def _grow(self, job: _Job[T], attempt: Attempt, size: int) -> None:
        """Waits until there is memory for so many more bytes of a body."""
        start = time.monotonic()
        with self._lock:
            while self._held + size > settings.AHEAD_BYTES and self._large not in (None, job) and not self._closed:
                self._room.wait()
            if self._held + size > settings.AHEAD_BYTES:
                self._large = job
            job.held += size
            self._held += size
        attempt.deadline += time.monotonic() - start

    # Called by the consumer.

    def _close(self) -> None:
        """Stops whatever is under way."""
        with self._lock:
            self._closed = True
            attempts = [job.attempt for job in self._running if job.attempt is not None]
            for condition in (self._work, self._room):
                condition.notify_all()
        self._watch.remove(self)
        for attempt in attempts:
            attempt.dismiss("stopped")
        end = time.monotonic() + _STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))


def give_up(request: Request, trouble: Trouble) -> FetchError:
    """The error that a person reads when a URL has failed for good."""
    tried = f" ({request.tries} tries)" if request.tries > 1 else ""
    return FetchError(f"{show_url(request.place.url)}: {trouble.reason}{tried}")


def _measure(answer: Answer) -> int:
    return len(answer.data or b"")
