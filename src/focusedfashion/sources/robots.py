"""robots.txt: what a site lets a crawler read, and how fast, by RFC 9309."""

from __future__ import annotations

import re

from focusedfashion import settings
from focusedfashion.errors import FetchError, MissingExtra, SourceError
from focusedfashion.fetch import Fetcher
from focusedfashion.sources.sites import clean_url

AGENT = "focusedfashion"  # the name that a robots.txt calls us by, the first word of our User-Agent

_STATUS = re.compile(r": HTTP (\d{3})\b")


class Robots:
    """The rules of one site; an empty text allows all."""

    def __init__(self, text: str) -> None:
        try:
            from protego import Protego
        except ImportError:
            raise MissingExtra("reading a whole shop", "web") from None
        self._rules = Protego.parse(text)
        delay = self._rules.crawl_delay(AGENT)
        rate = self._rules.request_rate(AGENT)
        if rate is not None:
            delay = max(delay or 0.0, rate.seconds / rate.requests)
        # Seconds between two requests.
        self.delay = settings.SHOP_PAUSE if delay is None else min(delay, settings.MAX_CRAWL_DELAY)
        self.sitemaps = list(dict.fromkeys(self._rules.sitemaps))

    def allows(self, url: str) -> bool:
        return self._rules.can_fetch(url, AGENT)


def load_robots(root: str, fetcher: Fetcher) -> tuple[Robots, str]:
    """The rules of the site at `root` ('https://shop.example'), and the address that they came from.

    A robots.txt that is not there (4xx) allows all, one that the server does not give (5xx, 429, no answer) nothing:
    that raises SourceError. Of a long one the beginning counts.
    """
    url = f"{root}/robots.txt"
    try:
        answer = fetcher.fetch(url, most=settings.MAX_ROBOTS)
    except FetchError as error:
        status = find_status(error)
        if 400 <= status < 500 and status != 429:
            return Robots(""), url
        raise SourceError(f"what may be read there is not known, so nothing is: {error}") from None
    text = (answer.data or b"")[: settings.ROBOTS_BYTES].decode("utf-8-sig", "replace")
    if answer.data and len(answer.data) > settings.ROBOTS_BYTES:
        text = text.rpartition("\n")[0]  # half a line may say something else
    return Robots(text), clean_url(answer.url)


def find_status(error: FetchError) -> int:
    """The HTTP status that a request ended with, 0 where it is another trouble."""
    status = _STATUS.search(str(error))
    return int(status[1]) if status else 0
