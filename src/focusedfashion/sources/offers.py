"""What is asked for a product, by schema.org's Offer, AggregateOffer and PriceSpecification."""

from __future__ import annotations

import math
import re
from typing import Any

from focusedfashion import settings
from focusedfashion.sources.prices import parse_price
from focusedfashion.sources.things import Fields, Things, snake_name

# Prices that nobody pays any more. Those that only some pay are left out, and so are unit prices.
_OTHER_PRICES = re.compile(r"list|strikethrough|srp|msrp|minimumadvertised|invoice|suggested|regular", re.IGNORECASE)
_GONE = ("out_of_stock", "sold_out", "discontinued")
# Availability as it is written, without spaces and the like -> as Google's feeds have it.
_STOCK = {
    "instock": "in_stock",
    "outofstock": "out_of_stock",
    "soldout": "sold_out",
    "preorder": "preorder",
    "presale": "preorder",
    "backorder": "backorder",
}


def read_offers(things: Things, fields: Fields) -> tuple[float | None, str | None, dict[str, Any]]:
    """A product -> (the lowest price that is asked for what is in stock, its currency, the columns that say more)."""
    given = fields.get("offers", ())[: settings.MAX_NODES]
    offers = [things.open(offer) for offer in given if isinstance(offer, dict)]
    offers += [things.open(inner) for offer in list(offers) for inner in offer.get("offers", ())]
    # Microdata often has the price without an offer around it.
    read = [_Offer(things, offer) for offer in offers or [fields]]
    best = min(read, key=lambda offer: (offer.price is None, offer.stock in _GONE, offer.price or 0.0))
    columns = {
        "availability": next((offer.stock for offer in read if offer.stock == "in_stock"), best.stock),
        "condition": best.condition,
        "regular_price": best.regular_price,
        "high_price": best.high_price,
        "source_price": best.source_price if best.price is None else None,
    }
    return best.price, best.currency, {name: value for name, value in columns.items() if value}


class _Offer:
    """One offer: what is asked for a product; None for what is not said."""

    def __init__(self, things: Things, fields: Fields) -> None:
        self._things = things
        self.source_price: str | None = None
        self.currency: str | None = None
        self.regular_price: float | None = None
        self.price = self._read_price(fields, ("price", "low_price"))
        for thing in fields.get("price_specification", ()):
            self._read_specification(things.open(thing))
        self.high_price = self._read_price(fields, ("high_price",))
        if self.price is not None and (self.high_price or 0.0) <= self.price:
            self.high_price = None
        if self.price is None or (self.regular_price or 0.0) <= self.price:
            self.regular_price = None
        stock = things.find_text(fields, ("availability",)) or ""
        self.stock = _STOCK.get(re.sub(r"[^a-z]", "", stock.lower()), snake_name(stock))
        self.condition = snake_name(things.find_text(fields, ("item_condition",)) or "").removesuffix("_condition")

    def _read_specification(self, fields: Fields) -> None:
        kind = " ".join(str(value) for value in fields.get("type", ()))
        if "reference_quantity" in fields or "valid_for_member_tier" in fields or "Charge" in kind:
            return
        amount = self._read_price(fields, ("price", "min_price"))
        if _OTHER_PRICES.search(" ".join(str(value) for value in fields.get("price_type", ()))):
            self.regular_price = self.regular_price or amount
        elif self.price is None:
            self.price = amount

    def _read_price(self, fields: Fields, names: tuple[str, ...]) -> float | None:
        code = self._things.find_text(fields, ("price_currency", "currency")) or ""
        if self.currency is None and code:
            self.currency = parse_price(f"1 {code}")[1]
        for name in names:
            for value in fields.get(name, ()):
                if isinstance(value, (int, float)) and not isinstance(value, bool):
                    if math.isfinite(value) and value >= 0:
                        return float(value)
                    continue
                text = self._things.to_text(value)
                amount, currency = parse_price(text or "")
                if currency is None and self.currency:
                    amount, _ = parse_price(f"{text} {self.currency}")
                if amount is not None:
                    self.currency = self.currency or currency
                    return amount
                self.source_price = self.source_price or text
        return None
