"""Web addresses: what site they belong to, and how two of them are told to be the same page."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from focusedfashion import settings

# Parameters that say where a visitor comes from, not what is shown.
_TRACKING = re.compile(
    r"utm_\w+|gclid|gbraid|wbraid|fbclid|msclkid|dclid|yclid|srsltid|mc_[ce]id|_ga|_gl|_pos|_sid|_ss|_psq|ref|referrer"
    r"|pr_(?:prod|rec|ref|seq)\w*",
    re.IGNORECASE,
)
# Pages that show no product, and that a crawler has no business on.
_AISLES = re.compile(
    r"/(?:cart|basket|bag|checkout|(?:my-?)?account|login|signin|logout|register|password|wish-?list|favou?rites|compare"
    r"|search|suche|warenkorb|kasse|konto|mein-konto|anmelden|merkzettel|panier|commande|compte|mon-compte|connexion"
    r"|recherche|carrello|carrito|wp-admin|wp-json|wp-login\.php|cdn-cgi|feed|api|admin|blogs?|policies)(?:[/.]|\Z)",
    re.IGNORECASE,
)
_FILES = re.compile(
    r"\.(?:jpe?g|png|gif|webp|avif|svg|ico|css|m?js|json|pdf|zip|gz|xml|rss|atom|txt|csv|mp[34]|webm|woff2?|docx?|xlsx?)\Z",
    re.IGNORECASE,
)
# Parameters that change something, or show the same once more in another order or in part.
_ACTIONS = re.compile(
    r"add[-_]?to[-_]?\w+|remove_item|action|sort\w*|order(?:by|_by|dir)?|dir|filter.*|min_?price|max_?price|view|mode"
    r"|limit|per_?page|pagesize|q|s|search|query|session\w*|sid|phpsessid|return\w*|redirect\w*|replytocom|share|print"
    r"|currency|lang|add|variant|color|colour|size|farbe|gr(?:oe|%C3%B6)sse|couleur|taille|rating",
    re.IGNORECASE,
)
_MOST_PARAMETERS = 3  # beyond that it is a filter's combination
_PRODUCTS = re.compile(
    r"/(?:products?|produ[ck]te?|produits?|prodott[oi]|artikel|articles?|items?|p|dp|pd|sku)/|[-_/]p?\d{4,}(?:\.html?)?/?\Z"
    r"|-p-?\d+|/product\.\w+\?|[?&](?:product_?id|sku|id_product)=",
    re.IGNORECASE,
)
_PORTS = {"http": "80", "https": "443"}


def find_site(url: str) -> str:
    """The site of a web address: its host without "www.", and the port unless it is the usual one; "" for no address.

    http and https are the same site.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    if parts.scheme not in _PORTS or not parts.hostname:
        return ""
    host = parts.hostname.removeprefix("www.").rstrip(".")
    return host if port is None or str(port) == _PORTS[parts.scheme] else f"{host}:{port}"


def find_root(url: str) -> str:
    """'https://shop.example/a?b' -> 'https://shop.example'."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def clean_url(reference: str, base: str = "") -> str:
    """A reference on the page `base` -> a full address without fragment and tracking, the same for the same page.

    "" for what is no web address.
    """
    try:
        parts = urlsplit(urljoin(base, reference.strip()))
        port = parts.port
    except ValueError:
        return ""
    if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    netloc = host if port is None or str(port) == _PORTS[parts.scheme] else f"{host}:{port}"
    query = parts.query
    if query and _TRACKING.search(query):
        kept = [pair for pair in parse_qsl(query, keep_blank_values=True) if not _TRACKING.fullmatch(pair[0])]
        query = urlencode(kept)
    return urlunsplit((parts.scheme, netloc, parts.path or "/", query, ""))


def may_follow(url: str) -> bool:
    """Whether a link could lead to products: not to a cart, a file, or another order of what is elsewhere too."""
    parts = urlsplit(url)
    if _AISLES.search(parts.path) or _FILES.search(parts.path) or len(url) > settings.MAX_URL:
        return False
    names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    return len(names) <= _MOST_PARAMETERS and not any(_ACTIONS.fullmatch(name) for name in names)


def is_file(url: str) -> bool:
    """Whether an address is, by its ending, that of a picture, a document or the like."""
    return _FILES.search(urlsplit(url).path) is not None


def looks_like_product(url: str) -> bool:
    """Whether an address looks like that of a product's page: those are read first."""
    return _PRODUCTS.search(url.partition("://")[2]) is not None
