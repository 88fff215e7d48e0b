"""Prices as people write them -> an amount and a currency."""

# ruff: noqa: RUF001 - prices are written with dashes, apostrophes and Cyrillic letters that look like others

from __future__ import annotations

import itertools
import math
import re

from focusedfashion import settings

# ISO 4217, in use.
_ISO_4217 = """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF
    CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG
    HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA
    MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD
    RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX
    USD UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW
"""
_CODES = frozenset(_ISO_4217.split())
_THREE_DECIMALS = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")

# Signs that one currency has to itself. "" is a sign that shows a price but no currency: crowns are of four countries.
_SIGNS = {
    **{"€": "EUR", "£": "GBP", "₹": "INR", "₽": "RUB", "₩": "KRW", "₺": "TRY", "₴": "UAH", "₫": "VND", "฿": "THB"},
    **{"₪": "ILS", "₱": "PHP", "₦": "NGN", "₸": "KZT", "元": "CNY", "円": "JPY", "원": "KRW"},
    **{"us$": "USD", "c$": "CAD", "ca$": "CAD", "a$": "AUD", "au$": "AUD", "nz$": "NZD", "hk$": "HKD", "s$": "SGD"},
    **{"r$": "BRL", "mx$": "MXN", "nt$": "TWD", "jp¥": "JPY", "cn¥": "CNY", "rmb": "CNY"},
    **{"euro": "EUR", "euros": "EUR", "zł": "PLN", "kč": "CZK", "ft": "HUF", "lei": "RON", "лв": "BGN", "руб": "RUB"},
    **{"р": "RUB", "грн": "UAH", "sfr": "CHF", "fr": "CHF", "kr": ""},
}
# Signs that several share count as the currency that uses them most, unless another sign beside the number says more.
_SHARED = {"$": "USD", "¥": "JPY", "￥": "JPY", "rs": "INR", "r": "ZAR"}

# Thousands may be set off by a space or an apostrophe; commas and points are told apart afterwards.
_NUMBER = re.compile(r"(?<!\w)[.,]\d{1,2}(?![\d.,])|(?:\d{1,3}(?:[\s'’]\d{3})+(?!\d)|\d+)(?:[.,]\d+)*")
_SIGN = re.compile(r"(?:\b[^\W\d_]{1,2})?[$¥]|[€£￥₹₽₩₺₴₫฿₪₱₦₸]|[^\W\d_]+")
_NO_CENTS = re.compile(r"[.,][-–—]{1,2}")  # "5,-"
_RANGE = re.compile(r"[\s.]*(?:[-–—~]|to|bis|à|au?|hasta)\s*", re.IGNORECASE)
_MINUS = re.compile(r"[-−](?:[$¥€£￥₹₽₩₺₴₫฿₪₱₦₸])?\Z")


def parse_price(text: str) -> tuple[float | None, str | None]:
    """'1.299,00 EUR' -> (1299.0, 'EUR'): the lowest price in the text and its ISO code; None for what is not there.

    A number beside a currency counts before one without ("19,99 € / 100 ml"), one with a percent sign never does, and
    a negative one is no price. Of points and commas the last sets off the cents. Where there is only one, three digits
    behind it make it a thousands mark ("1.299 €" is 1299), but not behind a zero ("0.999"), behind four digits or more
    ("1299.000"), or in a currency that has three decimals ("1.299 KWD").

    '$' is USD, '¥' JPY and 'Rs' INR unless a code or a letter says otherwise ("CA$ 10", "$10 AUD"); 'kr' is
    ambiguous: a price with no currency.
    """
    if len(text) > settings.MAX_PRICE:
        return None, None
    numbers = list(_NUMBER.finditer(text))
    ends = [0, *(number.end() for number in numbers)]
    starts = [*(number.start() for number in numbers), len(text)]
    gaps = [text[end:start] for end, start in zip(ends, starts, strict=True)]  # around and between the numbers
    currencies = _find_currencies(gaps)
    # Both ends of a range have the sign of one: "10 - 20 EUR", "EUR 10-20".
    tied = [at > 0 and bool(_RANGE.fullmatch(_drop_signs(gaps[at]))) for at in range(len(numbers))]
    for at in [*range(1, len(numbers)), *reversed(range(1, len(numbers)))]:
        if tied[at] and (currencies[at - 1] is None or currencies[at] is None):
            currencies[at - 1] = currencies[at] = currencies[at] if currencies[at - 1] is None else currencies[at - 1]
    prices = []
    for at, number in enumerate(numbers):
        before, after, currency = gaps[at], gaps[at + 1], currencies[at]
        glued = currency is None and (before[-1:].isalpha() or after[:1].isalpha())  # M20, 3XL
        negative = not tied[at] and _MINUS.search(before)
        amount = _read_number(number[0], currency)
        if amount is not None and not glued and not negative and not after.lstrip().startswith("%"):
            prices.append((amount, currency))
    signed = [price for price in prices if price[1] is not None]
    if not prices:
        return None, None
    amount, currency = min(signed or prices, key=lambda price: price[0])
    return amount, currency or None


def _find_currencies(gaps: list[str]) -> list[str | None]:
    """Of each number between two gaps: its currency, "" for an ambiguous sign, None without any."""
    words = [_SIGN.findall(gap) for gap in gaps]
    alone = sum(map(len, words)) == 1
    prefixed = any(_find_sign(word, alone) for word in words[0])
    found = []
    for before, after in itertools.pairwise(words):
        # Where signs follow their numbers, one in front belongs to the number before. Two words at most: "10 CA $".
        near = [*(reversed(before[-2:]) if prefixed else ()), *after[:2]]
        signs = [sign for word in near if (sign := _find_sign(word, alone)) is not None]
        found.append(min(signs, key=lambda sign: sign[1])[0] if signs else None)
    return found


def _find_sign(word: str, alone: bool) -> tuple[str, bool] | None:
    """-> (currency, whether the sign is a shared one). Codes such as TOP or ALL are words too, unless in capitals."""
    if word.upper() in _CODES and (word.isupper() or alone):
        return word.upper(), False
    sign = word.casefold()
    if sign in _SIGNS:
        return _SIGNS[sign], False
    if sign in _SHARED and (word.isupper() or not word.islower() or len(word) > 1):
        return _SHARED[sign], True
    return (_SHARED[sign[-1]], True) if sign[-1] in "$¥" else None


def _drop_signs(gap: str) -> str:
    gap = _NO_CENTS.sub("", gap, count=1) if _NO_CENTS.match(gap) else gap
    return _SIGN.sub(lambda sign: "" if _find_sign(sign[0], True) else sign[0], gap)


def _read_number(text: str, currency: str | None) -> float | None:
    """A run of digits with their marks -> its value; None where the marks make no number (a date, a version)."""
    grouped = re.search(r"[\s'’]", text) is not None
    text = re.sub(r"[\s'’]", "", text)
    *whole, last = re.split(r"[.,]", text)
    marks = re.findall(r"[.,]", text)
    if not marks:
        whole, cents = [last], ""
    elif marks[-1] not in marks[:-1] and len(set(marks[:-1])) <= 1 and len(marks) > 1:
        cents = last  # two kinds of marks
    elif len(marks) > 1:
        # One kind: all of them for thousands, or, as some write, the last for cents.
        whole, cents = (whole, last) if len(last) <= 2 else ([*whole, last], "")
        if len(set(marks)) > 1:
            return None
    elif len(last) == 3 and not grouped and 1 <= len(whole[0]) <= 3 and whole[0].strip("0"):
        whole, cents = (whole, last) if currency in _THREE_DECIMALS else ([*whole, last], "")
    else:
        cents = last
    if len(whole) > 1:
        sizes = [len(part) for part in whole]
        # 1.299.000 or, as in India, 12,99,000
        if not 1 <= sizes[0] <= 3 or sizes[-1] != 3 or len(set(sizes[1:-1]) | {3}) > 2 or not {2, 3} >= set(sizes[1:]):
            return None
    value = float(f"{''.join(whole) or '0'}.{cents or '0'}")
    return value if math.isfinite(value) else None
