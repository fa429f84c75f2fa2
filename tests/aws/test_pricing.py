"""Prices: the right number or none, whatever the price list says."""

from __future__ import annotations

import json

import pytest
from fake_aws import deny
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_dogbreed.aws.spending.pricing import HOSTING, TRAINING, Prices, price_of

WANTED = {"regionCode": "eu-west-1", "instanceName": "ml.m5.large", "component": "Hosting"}
REQUEST = {
    "ServiceCode": "AmazonSageMaker",
    "Filters": [{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in WANTED.items()],
}


def product(usd="0.1280000000", *, unit="Hrs", **attributes):
    """Return a product as the price list writes it."""
    dimension = {"unit": unit, "pricePerUnit": {"USD": usd}, "beginRange": "0", "endRange": "Inf"}
    return json.dumps(
        {
            "product": {
                "productFamily": "ML Instance",
                "attributes": {**WANTED, "locationType": "AWS Region", **attributes},
            },
            "serviceCode": "AmazonSageMaker",
            "terms": {"OnDemand": {"SKU.TERM": {"priceDimensions": {"SKU.TERM.DIM": dimension}}}},
        }
    )


def _prices(stubbed, *pages):
    stub = stubbed.stub("pricing", "us-east-1")
    for number, products in enumerate(pages, start=1):
        more = {"NextToken": f"{number}"} if number < len(pages) else {}
        asked = REQUEST if number == 1 else REQUEST | {"NextToken": f"{number - 1}"}
        stub.add_response("get_products", {"PriceList": products, **more}, asked)
    return Prices(stubbed)


def test_a_price_is_read_and_asked_once(stubbed):
    """The second question is answered without a call."""
    prices = _prices(stubbed, [product()])
    for _ in range(2):
        assert prices.usd_per_hour("ml.m5.large", HOSTING, "eu-west-1") == 0.128


def test_all_pages_are_read(stubbed):
    """A price on a later page that differs makes the price unknown."""
    prices = _prices(stubbed, [product()], [product("0.256")])
    assert prices.usd_per_hour("ml.m5.large", HOSTING, "eu-west-1") is None


def test_what_is_not_known_is_kept_too(stubbed):
    """An instance type that the price list does not have is asked for once."""
    prices = _prices(stubbed, [])
    for _ in range(2):
        assert prices.usd_per_hour("ml.m5.large", HOSTING, "eu-west-1") is None


def test_a_refusal_is_unknown_and_asked_again(stubbed):
    """Without the permission nothing is known; with it, later, the price is."""
    deny(stubbed.stub("pricing", "us-east-1"), "get_products", "pricing:GetProducts")
    prices = _prices(stubbed, [product()])
    assert prices.usd_per_hour("ml.m5.large", HOSTING, "eu-west-1") is None
    assert prices.usd_per_hour("ml.m5.large", HOSTING, "eu-west-1") == 0.128


def test_an_answer_without_a_price_list_is_unknown(stubbed):
    """A missing member is no error."""
    stubbed.stub("pricing", "us-east-1").add_response("get_products", {})
    assert Prices(stubbed).usd_per_hour("ml.m5.large", TRAINING, "eu-west-1") is None


@pytest.mark.parametrize(
    ("products", "price"),
    [
        ([product(), product()], 0.128),
        ([product(), product("0.1300")], None),
        ([product(), product("0.5", component="Training")], 0.128),
        ([product(), product("0.5", regionCode="us-east-1")], 0.128),
        ([product(), product("0.5", instanceName="ml.m5.xlarge")], 0.128),
        ([product(), product("0.5", locationType="AWS Outposts")], 0.128),
        ([product(), product("0.0000000000")], 0.128),
        ([product("0.0000000000")], None),
        ([product(component="hosting")], 0.128),
        ([product(), product(unit="GB-Mo")], None),
        ([product(unit="Sec")], None),
        ([product("-1")], None),
        ([product("NaN")], None),
        ([product("sNaN")], None),
        ([product("Infinity")], None),
        ([product("1e999999999")], None),
        ([product("one")], None),
        ([product(None)], None),
        ([product(0.128)], None),
        ([product(), "{"], None),
        ([product(), "[" * 100_000], None),
        ([product(), "null"], None),
        ([json.dumps({"product": {"attributes": WANTED}})], None),
        ([json.dumps({"product": {"attributes": WANTED}, "terms": {"OnDemand": [1]}})], None),
        ([json.dumps({"product": {"attributes": WANTED}, "terms": {"OnDemand": {"t": {}}}})], None),
        ([json.dumps({"product": 3})], None),
        ([], None),
        ([3, None], None),
    ],
)
def test_the_price_is_right_or_unknown(products, price):
    """Two prices that differ, or anything that is not understood, are no price."""
    assert price_of(products, WANTED) == price


MEMBERS = ("product", "terms", "OnDemand", "attributes", "priceDimensions", "pricePerUnit", "USD")
json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=3),
    max_leaves=10,
)


@given(st.lists(json_values | st.text(max_size=10), max_size=3))
def test_no_answer_raises_or_invents_a_price(products):
    """Whatever comes over the wire, without the wanted attributes there is no price."""
    assert price_of(products, WANTED) is None
