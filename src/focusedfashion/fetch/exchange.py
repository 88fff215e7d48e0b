"""One try of a URL: requests, redirects, and a body that is checked while it comes in."""

from __future__ import annotations

import email.utils
import importlib.metadata
import re
import ssl
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from http import HTTPStatus
from http.client import BadStatusLine, IncompleteRead

import urllib3
from urllib3.exceptions import HTTPError, ProtocolError, SSLError, TimeoutError

from focusedfashion import settings
from focusedfashion.errors import FetchError
from focusedfashion.fetch.hosts import Hosts
from focusedfashion.fetch.places import Place, follow
from focusedfashion.fetch.trouble import Trouble
from focusedfashion.fetch.wire import Attempt, Pools

_PIECE = 256 * 2**10  # bytes of a body that are read at once
_IDLE_BODY = 64 * 2**10  # bytes of a body that nobody wants; reading up to so many is cheaper than a new connection

_ONCE = urllib3.Retry(False, redirect=False)  # urllib3 tries nothing again by itself

_VALIDATOR = 1_000  # characters of an ETag and a date together; longer ones are not worth keeping

_REDIRECTS = (301, 302, 303, 307, 308)
_BUSY = (429, 502, 503, 504)  # what says something of the host, or of what stands before it
_PASSING = (408, 425, 500, *_BUSY)

# How files of the formats that people have photos in begin; those of one format differ in the length before "ftyp".
_PICTURE = re.compile(rb"\xff\xd8\xff|\x89PNG|GIF8|RIFF.{4}WEBP|BM|II\*\0|MM\0\*|.{4}ftyp", re.DOTALL)
_MARKUP = re.compile(rb"(\xef\xbb\xbf)?\s*[<{\[]")
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)")
_NO_PICTURE = re.compile(r"text/|(application|image)/(.*\+)?(xml|json)$|application/(javascript|pdf)")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a URL gave. `data` is None if it is what `validator` stood for, or if it went into a file."""

    data: bytes | None
    validator: str  # to be given back with the next request of this URL; "" if the server gave none
    url: str  # after redirects
    type: str  # the media type in lower case, without parameters; "" if the server names none
    charset: str  # of the media type; "" if none is named


@dataclass(slots=True)
class Request:
    """A URL to fetch. `kind` "image" refuses what is certainly no picture."""

    place: Place
    validator: str = ""
    most: int = settings.MAX_PICTURE_BYTES
    kind: str = ""
    tries: int = 0


def exchange(request: Request, attempt: Attempt, pools: Pools, hosts: Hosts, take: Callable[[bytes], object]) -> Answer:
    """One try -> Answer, without the body, which `take` gets piece by piece (or None: not modified). Raises Trouble."""
    place = request.place
    for _ in range(settings.MAX_REDIRECTS + 1):
        site = place.site
        hosts.check(site)
        started = time.monotonic()
        try:
            with attempt:
                answer = _ask(request, place, attempt, pools, take)
        except Trouble as trouble:
            if not attempt.dismissed:
                hosts.note(site, started, trouble, first=request.tries == 0)
            raise
        hosts.note(site, started)
        if isinstance(answer, Answer):
            return answer
        try:
            place = follow(place, answer)
        except FetchError as error:
            raise Trouble(f"redirected to {error}") from None
    raise Trouble(f"redirected more than {settings.MAX_REDIRECTS} times, at last to {place.url}")


def _ask(
    request: Request, place: Place, attempt: Attempt, pools: Pools, take: Callable[[bytes], object]
) -> Answer | str:
    """One request -> Answer, or where it is redirected to; raises Trouble."""
    headers = _make_headers(request, place)
    try:
        response = pools.get(place).urlopen(
            "GET",
            place.target,
            headers=headers,
            retries=_ONCE,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
        )
    except (HTTPError, OSError, ValueError) as error:
        raise _explain(error, attempt, reached=False) from None
    status = response.status
    if status in (200, 203):
        try:
            _read_body(request, response, attempt, take)
        except BaseException as error:
            response.close()  # and with it the connection, which is in the middle of something
            if isinstance(error, HTTPError | OSError | ValueError):
                raise _explain(error, attempt, reached=True) from None
            raise
        return Answer(b"", _read_validator(place, response), place.url, *_read_type(response))
    _dismiss(response)
    attempt.check()  # a head that was cut off may look like a whole one
    if status == 304 and ("If-None-Match" in headers or "If-Modified-Since" in headers):
        return Answer(None, _read_validator(place, response) or request.validator, place.url, *_read_type(response))
    if status in _REDIRECTS and (location := response.headers.get("location")):
        return location
    raise _judge(response)


def _make_headers(request: Request, place: Place) -> dict[str, str]:
    picture = request.kind == "image"
    headers = {
        "User-Agent": _USER_AGENT,
        "Accept": "image/*,*/*;q=0.8" if picture else "*/*",
        "Accept-Encoding": "identity" if picture else "gzip",  # pictures are compressed already
    }
    if request.validator:
        digest, _, rest = request.validator.partition(" ")
        etag, _, modified = rest.partition("\n")
        if digest == _digest(place):
            if etag:
                headers["If-None-Match"] = etag
            if modified:
                headers["If-Modified-Since"] = modified
    return headers


def _read_body(
    request: Request, response: urllib3.BaseHTTPResponse, attempt: Attempt, take: Callable[[bytes], object]
) -> None:
    unpack = _choose_unpacking(response)
    size = 0
    for raw in _read_raw(request.most, response, attempt):
        for piece in unpack(raw):
            if not size and request.kind == "image":
                _check_picture(piece, response)
            size += len(piece)
            if size > request.most:
                raise _too_large(request.most)
            take(piece)
    if not size and request.kind == "image":
        raise Trouble("the answer is empty", again=True)


def _read_raw(most: int, response: urllib3.BaseHTTPResponse, attempt: Attempt) -> Iterator[bytes]:
    """The pieces of a body as they come, and an empty one at its end; raises Trouble where it is too large or cut."""
    declared = response.length_remaining
    if declared is not None and declared > most:
        raise Trouble(f"{declared:,} bytes, and {most:,} are the limit")
    received = 0
    while received != declared:
        if received and attempt.grow is not None:
            attempt.grow(_PIECE)
        raw = response.read(_PIECE)
        if not raw:
            break
        received += len(raw)
        if received > most:
            raise _too_large(most)
        yield raw
    attempt.check()  # a body without a declared length ends like that, too
    if not received and declared is None and not response.chunked:  # perhaps not even the head was whole
        raise Trouble("the answer broke off before its end", again=True)
    yield b""


def _choose_unpacking(response: urllib3.BaseHTTPResponse) -> Callable[[bytes], Iterable[bytes]]:
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding in ("gzip", "x-gzip"):
        return _Unzipping().unpack
    if encoding in ("", "identity"):
        return lambda raw: (raw,) if raw else ()
    raise Trouble(f"it comes in the Content-Encoding '{encoding}', which was not asked for")


class _Unzipping:
    """gzip -> pieces of bounded size, so that a bomb is met before it has gone off."""

    def __init__(self) -> None:
        self._zip = zlib.decompressobj(wbits=31)

    def unpack(self, raw: bytes) -> Iterator[bytes]:
        """`raw` is the next piece, empty at the end."""
        if not raw and not self._zip.eof:
            raise Trouble("the compressed answer broke off", again=True)
        full = False
        while raw or full:
            if self._zip.eof:
                if not raw.startswith(b"\x1f"):  # no further member, but padding
                    return
                self._zip = zlib.decompressobj(wbits=31)
            try:
                piece = self._zip.decompress(raw, _PIECE)
            except zlib.error:
                raise Trouble("the compressed answer is damaged", again=True) from None
            if piece:
                yield piece
            raw = self._zip.unused_data if self._zip.eof else self._zip.unconsumed_tail
            full = len(piece) == _PIECE and not self._zip.eof  # there may be more to come from what is in already


def _check_picture(start: bytes, response: urllib3.BaseHTTPResponse) -> None:
    """Raises Trouble for what is no picture: by how it begins, else by what the server says that it is."""
    if _PICTURE.match(start):
        return
    kind, _ = _read_type(response)
    if _NO_PICTURE.match(kind):
        raise Trouble(f"no picture, but {kind}")
    if _MARKUP.match(start):
        raise Trouble(f"no picture, but text that begins with {start[:20]!r}, declared as {kind or 'nothing'}")


def _dismiss(response: urllib3.BaseHTTPResponse) -> None:
    """Done with a response whose body nobody wants: a short one is read, to keep the connection."""
    try:
        if (response.length_remaining or 0) <= _IDLE_BODY:
            response.read(_IDLE_BODY + 1)
    except (HTTPError, OSError, ValueError):
        pass
    finally:
        response.close()


def _judge(response: urllib3.BaseHTTPResponse) -> Trouble:
    """What a status means that is no answer."""
    status, wait = response.status, _read_wait(response.headers)
    phrase = next((known.phrase for known in HTTPStatus if known == status), "")
    reason = f"HTTP {status} {phrase}".rstrip()
    if status in _REDIRECTS:
        return Trouble(f"{reason} without a new address")
    again = status in _PASSING
    if again and wait is not None and wait > settings.MAX_RETRY_AFTER:
        again = False
        reason += f", and not to be asked again for {wait:,.0f} seconds"
    return Trouble(reason, again=again, busy=status in _BUSY, wait=wait)


def _explain(error: Exception, attempt: Attempt, *, reached: bool) -> Trouble:
    """What went wrong on the wire, in words."""
    attempt.check(reached)
    if isinstance(error, TimeoutError):
        return Trouble("the server was silent for too long", again=True, late=True, reached=reached)
    # urllib3 wraps what the standard library raised.
    inner = error.args[-1] if isinstance(error, ProtocolError | SSLError) and error.args else error
    if isinstance(inner, ssl.SSLCertVerificationError):
        return Trouble(f"its certificate is not valid ({inner.verify_message})", reached=reached)
    if isinstance(inner, ssl.SSLError):
        return Trouble(f"TLS failed ({inner.reason or inner})", again=True, reached=reached)
    if isinstance(inner, IncompleteRead):
        return Trouble("the answer broke off before its end", again=True, reached=reached)
    if isinstance(inner, BadStatusLine) and not isinstance(inner, ConnectionError):
        return Trouble("what answers does not speak HTTP", again=True, reached=reached)
    words = (getattr(inner, "strerror", None) or str(inner))[:200]
    words = words if words.isprintable() else repr(words)
    again = isinstance(error, ProtocolError | OSError)
    return Trouble(f"the connection failed ({words})", again=again, reached=reached)


def _read_type(response: urllib3.BaseHTTPResponse) -> tuple[str, str]:
    """(media type, charset) of a response, in lower case, "" where it names none."""
    kind, _, parameters = response.headers.get("content-type", "").lower().partition(";")
    charset = _CHARSET.search(parameters)
    return kind.strip(), charset[1] if charset else ""


def _read_validator(place: Place, response: urllib3.BaseHTTPResponse) -> str:
    """What to ask with the next time, bound to the URL that it is of."""
    etag, modified = response.headers.get("etag", ""), response.headers.get("last-modified", "")
    if not (etag or modified) or len(etag) + len(modified) > _VALIDATOR:
        return ""
    return f"{_digest(place)} {' '.join(etag.split())}\n{' '.join(modified.split())}"


def _digest(place: Place) -> str:
    return blake2b(place.url.encode(), digest_size=6).hexdigest()


def _read_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds of Retry-After, which gives them or a date; None where it says nothing that can be read."""
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d+", text, re.ASCII):
        return float(text[:10])  # 10 digits are 300 years
    until = _read_date(text)
    if until is None:
        return None
    # By the server's own clock, which may go wrong.
    return max(0.0, until - (_read_date(headers.get("date", "")) or time.time()))


def _read_date(text: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _too_large(most: int) -> Trouble:
    return Trouble(f"more than {most:,} bytes, which are the limit")


def _name_agent() -> str:
    try:
        return f"focusedfashion/{importlib.metadata.version('focusedfashion')}"
    except importlib.metadata.PackageNotFoundError:  # run from a source tree
        return "focusedfashion"


_USER_AGENT = _name_agent()
