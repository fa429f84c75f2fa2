"""What an instance costs, from AWS's own price list; None where that cannot be told for certain.

https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_pricing_GetProducts.html
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from sagemaker_dogbreed.clients import Clients
from sagemaker_dogbreed.errors import UnsupportedError
from sagemaker_dogbreed.jobs.trouble import AWS_ERRORS

TRAINING, HOSTING = "Training", "Hosting"
"""What an instance is used for, as the price list calls it."""

_SERVICE_REGION = "us-east-1"  # one of the few where the price list is served; it knows all regions
_MOST_PRODUCTS = 500
_TOO_MUCH = 100_000  # USD an hour: no instance costs as much


class Prices:
    """Prices of instances on demand, asked once each; safe to share between threads.

    Disks, data transfer, taxes and discounts are not in them.
    """

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str, str], float | None] = {}

    def usd_per_hour(self, instance_type: str, use: str, region: str) -> float | None:
        """Return the USD that one instance costs an hour, or None where it is not known.

        Nothing is raised: without permission or network, with an answer that is not understood, and
        with several prices that differ, the price is unknown.

        Args:
            instance_type: As in ``ml.m5.large``.
            use: ``TRAINING`` or ``HOSTING``.
            region: Where the instance runs.
        """
        asked = instance_type, use, region
        with self._lock:
            if asked not in self._known:
                try:
                    self._known[asked] = self._ask(instance_type, use, region)
                except (*AWS_ERRORS, UnsupportedError, KeyError, TypeError, AttributeError):
                    return None  # not kept: the next question may be answered
            return self._known[asked]

    def _ask(self, instance_type: str, use: str, region: str) -> float | None:
        wanted = {"regionCode": region, "instanceName": instance_type, "component": use}
        pages = (
            self._clients.client("pricing", _SERVICE_REGION)
            .get_paginator("get_products")
            .paginate(
                ServiceCode="AmazonSageMaker",
                Filters=[
                    {"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()
                ],
                PaginationConfig={"MaxItems": _MOST_PRODUCTS},
            )
        )
        products = [json_text for page in pages for json_text in page["PriceList"]]
        return None if len(products) >= _MOST_PRODUCTS else price_of(products, wanted)


def price_of(products: Iterable[Any], wanted: Mapping[str, str]) -> float | None:
    """Return the one price, USD an hour, of the products with the wanted attributes; None if it is not one.

    Args:
        products: The price list, each product as JSON.
        wanted: Values of attributes; upper and lower case are the same.
    """
    prices: set[Decimal | None] = set()
    for text in products:
        product = _parsed(text)
        if product is None:
            return None  # it might have been the one that differs
        if _matches(product, wanted):
            prices |= set(_hourly(product))
    found = prices.pop() if len(prices) == 1 else None
    return None if found is None else float(found)


def _parsed(text: Any) -> Mapping[str, Any] | None:
    try:
        product = json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        return None
    return product if isinstance(product, Mapping) else None


def _matches(product: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    attributes = _mapping(_mapping(product.get("product")).get("attributes"))
    # Prices of Outposts and Local Zones are for other places than the region.
    is_of_region = str(attributes.get("locationType", "AWS Region")).lower() == "aws region"
    return is_of_region and all(
        str(attributes.get(name, "")).lower() == value.lower() for name, value in wanted.items()
    )


def _hourly(product: Mapping[str, Any]) -> Iterator[Decimal | None]:
    """Yield a product's prices on demand; None for one that is not understood."""
    terms = _mapping(_mapping(product.get("terms")).get("OnDemand"))
    dimensions = [
        dimension
        for term in terms.values()
        for dimension in _mapping(_mapping(term).get("priceDimensions")).values()
    ]
    if not dimensions:
        yield None
    for dimension in map(_mapping, dimensions):
        usd = _amount(_mapping(dimension.get("pricePerUnit")).get("USD"))
        is_hourly = str(dimension.get("unit", "")).lower() in ("hrs", "hours", "hour")
        if usd is not None and usd > 0 and is_hourly:
            yield usd
        elif usd != 0:  # what costs nothing is a trial's share of the same instance
            yield None


def _amount(text: Any) -> Decimal | None:
    try:
        usd = Decimal(text) if isinstance(text, str) else None
    except InvalidOperation:
        return None
    return usd if usd is not None and usd.is_finite() and 0 <= usd < _TOO_MUCH else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
