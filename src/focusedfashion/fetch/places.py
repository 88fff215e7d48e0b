"""Where a URL leads: its parts as a request needs them, and the addresses that may be connected to."""

from __future__ import annotations

import contextlib
import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit

from focusedfashion import settings
from focusedfashion.errors import FetchError
from focusedfashion.fetch.trouble import Trouble

_PORTS = {"http": 80, "https": 443}

_BLANK = "".join(map(chr, range(33)))  # what browsers cut from both ends of a URL
# Nearly every URL is clean already, and this is much faster than taking it apart. (Ports are below 60000 here.)
_CLEAN = re.compile(
    r"(https?)://(?![^/:]{254})([a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*)(?::([1-9]\d{0,3}|[1-5]\d{4}))?"
    r"(/[\w/.~+=&;,:@!-]*(?:\?[\w/.~+=&;,:@!-]*)?)",
    re.ASCII,
)
_HOST = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?", re.ASCII)
_BARE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")

# IPv6 addresses that stand for the IPv4 address in their last 32 bits: a gateway's own (NAT64), and mapped ones.
_NAT64 = IPv6Network("64:ff9b::/96")
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")


@dataclass(frozen=True, slots=True)
class Place:
    """A URL, cleaned: `host` is ASCII (an IPv6 address without brackets), `target` the quoted path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def site(self) -> str:
        """What answers: host:port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        site = self.site.rpartition(":")[0] if self.port == _PORTS[self.scheme] else self.site
        return f"{self.scheme}://{site}{self.target}"


def parse_url(url: str) -> Place:
    """A URL as people and feeds write it -> Place, cleaned as browsers do: blanks, umlauts, backslashes are quoted.

    Raises FetchError for what is no http or https URL.
    """
    if (clean := _CLEAN.fullmatch(url)) and len(url) <= 1_000:
        scheme, host, port, target = clean.groups()
        return Place(scheme, host, int(port or _PORTS[scheme]), target)
    if len(url) > settings.MAX_URL:
        raise FetchError(f"{show_url(url)}: {len(url):,} characters are too many for a URL ({settings.MAX_URL:,})")
    text = re.sub(r"[\t\r\n]", "", url.strip(_BLANK))
    head, mark, query = text.partition("?")
    try:
        parts = urlsplit(head.replace("\\", "/") + mark + query)
        if parts.scheme not in _PORTS:
            raise ValueError("only http:// and https:// URLs are fetched")
        if parts.username is not None:
            raise ValueError("a URL with a user name in it is not fetched")
        port = _PORTS[parts.scheme] if parts.port is None else parts.port
        if port == 0:
            raise ValueError("no server listens on port 0")
        target = _quote(parts.path, "%/:@!$&'()*+,;=~") or "/"
        if parts.query:
            target += "?" + _quote(parts.query, "%/:@!$&'()*+,;=~?")
        return Place(parts.scheme, _clean_host(parts.hostname or ""), port, target)
    except UnicodeError:  # a lone surrogate, or a host's label that is too long
        raise FetchError(f"{show_url(url)}: not a URL: characters that no URL can have") from None
    except ValueError as error:
        raise FetchError(f"{show_url(url)}: {error}") from None


def follow(place: Place, location: str) -> Place:
    """Where a redirect leads, relative to where it was met. Raises FetchError like `parse_url`."""
    with contextlib.suppress(UnicodeError):
        # Header bytes come as Latin-1; what is not ASCII there is UTF-8 nearly always.
        location = location.encode("latin-1").decode("utf-8")
    try:
        return parse_url(urljoin(place.url, location.strip(_BLANK)))
    except ValueError:
        raise FetchError(f"{show_url(location)}: not a URL") from None


def show_url(url: str) -> str:
    """The URL for a message: on one line, no longer than a few hundred characters, without a password."""
    shown = re.sub(r"//[^/?#@]*@", "//...@", url)
    shown = shown if len(shown) <= 300 else f"{shown[:297]}..."
    return shown if shown.isprintable() and shown else repr(shown)


def resolve(host: str, port: int, allow_private: bool) -> list[tuple[socket.AddressFamily, Any]]:
    """(family, socket address) of each address of a host that may be connected to; raises Trouble if there is none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        # "Try again" is a resolver that does not answer; all else says that there is no such name.
        raise Trouble(
            f"the host name '{host}' is not known ({error.strerror})",
            again=error.errno == socket.EAI_AGAIN,
            reached=False,
        ) from None
    except (UnicodeError, OSError) as error:
        raise Trouble(f"the host name '{host}' cannot be looked up ({error})", reached=False) from None
    allowed: list[tuple[socket.AddressFamily, Any]] = [
        (family, address) for family, _, _, _, address in found if allow_private or is_public(str(address[0]))
    ]
    if not allowed:
        raise Trouble(
            f"'{host}' is at {found[0][4][0]}, a private or reserved address, which is fetched from only when allowed"
        )
    return allowed


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet: not of this machine, a local network or a reserved range."""
    ip: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None)
        if inner is not None:
            return is_public(str(inner))
        if ip.is_site_local or ip in _LOCAL_NAT64:
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _quote(text: str, safe: str) -> str:
    return quote(_BARE_PERCENT.sub("%25", text), safe=safe)


def _clean_host(host: str) -> str:
    """Lower case and ASCII. Raises ValueError."""
    if ":" in host:
        return str(IPv6Address(host))
    host = unquote(host)
    if len(host) > 253:
        raise ValueError("the host name is longer than 253 characters")
    if not host.isascii():
        host = host.encode("idna").decode("ascii")
    host = host.lower()
    if not _HOST.fullmatch(host):
        raise ValueError(f"no host name that can be: '{host}'" if host else "there is no host name in it")
    return host
