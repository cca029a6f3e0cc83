"""The shop's look-ups: real data, in words that a customer would use."""

import json
from typing import Any

import pytest

from askfirst.errors import ToolRetry
from askfirst.examples import shop as example
from askfirst.examples.shop import DOCUMENTS, install, reset
from askfirst.retrieval.database import Connection, Database
from askfirst.tools.registry import Registry, Tool

TOOLS = Registry.load(["askfirst.examples.shop"])


def call(tool: Tool, connection: Connection, **arguments: Any) -> Any:
    found = tool.call(arguments, connection=connection)
    json.dumps(found)
    return found


def test_the_module_holds_all_tools_and_the_writes_are_marked():
    assert [each.name for each in TOOLS if each.writes] == [
        "cancel_order",
        "change_customer_address",
        "change_order_address",
        "change_order_items",
        "change_order_payment",
        "exchange_item",
        "return_items",
    ]
    assert [each.name for each in TOOLS if not each.writes] == [
        "count_orders",
        "find_customer_by_email",
        "find_customer_by_name",
        "find_item",
        "get_customer",
        "get_order",
        "get_product",
        "list_orders",
        "list_products",
        "track_order",
    ]


def test_the_whole_data_is_installed_once_and_reset_to_what_it_was(shop: Database):
    counts = (
        "SELECT (SELECT count(*) FROM shop.customers), (SELECT count(*) FROM shop.payment_methods), "
        "(SELECT count(*) FROM shop.items), (SELECT count(*) FROM shop.orders), (SELECT count(*) FROM shop.payments)"
    )
    with shop.connection() as connection:
        assert connection.execute(counts).fetchone() == (500, 695, 591, 1000, 1102)
        connection.execute("UPDATE shop.orders SET status = 'cancelled'")
        install(connection)
        assert connection.execute("SELECT count(*) FROM shop.orders WHERE status = 'cancelled'").fetchone() == (1000,)
        reset(connection)
        assert connection.execute("SELECT count(*) FROM shop.orders WHERE status = 'cancelled'").fetchone() == (102,)
        assert connection.execute(counts).fetchone() == (500, 695, 591, 1000, 1102)


def test_a_customer_is_found_by_email_or_by_name_and_zip_code(connection: Connection):
    found = call(example.find_customer_by_email, connection, email="Noah.Brown7922@example.com")
    assert found == {
        "customer_id": "noah_brown_6181",
        "name": "Noah Brown",
        "email": "noah.brown7922@example.com",
        "address": "986 Sunset Drive, Suite 259, Denver, CO 80279, USA",
        "payment_methods": ["PayPal (paypal_5727330)", "mastercard credit card ending in 9212 (credit_card_7815826)"],
        "orders": ["#W7678072"],
    }
    assert call(example.find_customer_by_name, connection, name="noah brown", zip_code="80279") == found
    assert call(example.get_customer, connection, customer_id="Noah_Brown_6181") == found


@pytest.mark.parametrize(
    ("tool", "arguments", "sentence"),
    [
        (example.find_customer_by_email, {"email": "nobody@example.com"}, "No customer has the email address nobody@example.com"),
        (example.find_customer_by_name, {"name": "Noah Brown", "zip_code": "11111"}, "No customer named Noah Brown lives at"),
        (example.get_customer, {"customer_id": "no_body_1234"}, "There is no customer no_body_1234"),
        (example.list_orders, {"customer_id": "no_body_1234"}, "There is no customer no_body_1234"),
        (example.get_order, {"order_id": "#W0000000"}, "There is no order #W0000000"),
        (example.track_order, {"order_id": "12"}, "order number, such as #W1234567"),
        (example.find_customer_by_email, {"email": "noah"}, "email address, such as noah@example.com"),
        (example.get_product, {"product": "Hovercraft"}, "product cannot be 'Hovercraft'. It must be one of"),
        (example.find_item, {"product": "Office Chair", "options": "purple"}, "'purple' is not an option of Office Chair"),
        (example.find_item, {"product": "Sunglasses", "options": "brown"}, "Write frame color brown or lens color brown"),
        (
            example.find_item,
            {"product": "Water Bottle", "options": "red glass"},
            "No Water Bottle with material glass, color red",
        ),
        (example.count_orders, {"status": "lost"}, "Input should be 'pending'"),
    ],
)
def test_what_does_not_exist_is_said_with_what_would_be_right(connection: Connection, tool: Tool, arguments: dict, sentence: str):
    with pytest.raises(ToolRetry) as refused:
        tool.call(arguments, connection=connection)
    assert sentence in str(refused.value)


def test_an_order_is_shown_with_or_without_its_sign(connection: Connection):
    found = call(example.get_order, connection, order_id="w2611340")
    assert found == {
        "order_id": "#W2611340",
        "customer_id": "james_li_5688",
        "status": "processed",
        "items": [
            {"name": "Water Bottle", "options": "capacity 1000ml, material glass, color blue", "price": 47.84, "request": None},
            {
                "name": "Office Chair",
                "options": "material fabric, color black, armrest fixed, backrest height standard",
                "price": 488.81,
                "request": None,
            },
        ],
        "total": 536.65,
        "paid_with": "gift card",
        "refunds": [],
        "address": "215 River Road, Suite 991, New York, NY 10083, USA",
        "tracking_number": "357962501027",
        "cancel_reason": None,
    }
    assert call(example.track_order, connection, order_id="#W2611340") == {
        "order_id": "#W2611340",
        "status": "processed",
        "tracking_number": "357962501027",
    }


def test_a_customers_orders_are_listed(connection: Connection):
    found = call(example.list_orders, connection, customer_id="ivan_santos_6635")
    assert [each["order_id"] for each in found] == ["#W3913498", "#W5183325", "#W6893533", "#W8770097"]
    assert found[3] == {"order_id": "#W8770097", "status": "pending", "items": "Office Chair", "total": 544.29}


def test_orders_and_products_are_counted(connection: Connection):
    assert call(example.count_orders, connection, status="pending") == {"status": "pending", "orders": 423}
    products = call(example.list_products, connection)
    assert (products["count"], products["products"][0]) == (50, "Action Camera")


def test_a_product_shows_what_is_available(connection: Connection):
    found = call(example.get_product, connection, product="water bottles")
    assert {name: found[name] for name in found if name != "options"} == {
        "product": "Water Bottle",
        "lowest_price": 45.09,
        "highest_price": 54.85,
        "items_available": 12,
        "items_in_all": 18,
    }
    assert sorted(found["options"]["color"]) == ["black", "blue", "green", "red"]


@pytest.mark.parametrize(
    ("product", "options", "wanted"),
    [
        ("Laptop", "32 GB RAM and a 15 inch screen", {"ram": "32GB", "screen size": "15-inch"}),
        ("t-shirt", "size M, blue", {"size": "M", "color": "blue"}),
        ("Sunglasses", "black frame color, lens type polarized", {"frame color": "black", "lens type": "polarized"}),
        ("E-Reader", "7-inch, Wi-Fi + Cellular", {"screen size": "7-inch", "connectivity": "Wi-Fi + Cellular"}),
        ("Mechanical Keyboard", "full size with RGB backlight", {"size": "full size", "backlight": "RGB"}),
        ("Headphones", "", {}),
    ],
)
def test_the_cheapest_available_item_with_the_options_is_found(
    connection: Connection, product: str, options: str, wanted: dict[str, str]
):
    found = call(example.find_item, connection, product=product, options=options)
    (cheapest,) = connection.execute(
        """
        SELECT min(price) FROM shop.items JOIN shop.products USING (product_id)
        WHERE name = %s AND available AND options::jsonb @> %s::jsonb""",
        [found["product"], json.dumps(wanted)],
    ).fetchone()
    assert found["price"] == float(cheapest)
    assert all(f"{name} {value}" in found["options"] for name, value in wanted.items())


@pytest.mark.parametrize(
    ("tool", "argument", "text", "before", "value"),
    [
        (
            example.find_item,
            "options",
            "Least expensive wireless headphones in white today?",
            {"product": "Headphones"},
            "connectivity wireless, color white",
        ),
        (example.find_item, "options", "Do you have any?", {"product": "Headphones"}, None),
        (example.find_item, "options", "I want number 9 of my 10 friends to run", {"product": "Running Shoes"}, None),
        (example.find_item, "options", "Running shoes in size 9, please", {"product": "Running Shoes"}, "size 9"),
        (
            example.change_order_items,
            "options",
            "Make it glass rather than plastic, 500 ml",
            {"item": "Water Bottle"},
            "material glass, capacity 500ml",
        ),
        (example.change_order_payment, "payment_method", "Charge my PayPal instead of the gift card", {}, "paypal"),
        (example.change_order_payment, "payment_method", "From PayPal to the gift card, please", {}, "gift_card"),
        (example.change_order_payment, "payment_method", "Some other way", {}, None),
        (example.cancel_order, "reason", "I ordered it accidentally", {}, "ordered by mistake"),
        (example.cancel_order, "reason", "We don't need it any more", {}, "no longer needed"),
        (example.cancel_order, "reason", "It took too long", {}, None),
    ],
)
def test_options_and_payment_methods_are_read_from_a_sentence(
    connection: Connection, tool: Tool, argument: str, text: str, before: dict[str, str], value: str | None
):
    (order_id,) = connection.execute("""
        SELECT order_id FROM shop.orders o JOIN shop.order_items i USING (order_id) JOIN shop.items USING (item_id)
        JOIN shop.products p USING (product_id) WHERE p.name = 'Water Bottle' AND (
            SELECT array_agg(kind ORDER BY kind) FROM shop.payment_methods m WHERE m.customer_id = o.customer_id
        ) = '{PayPal,gift card}' ORDER BY 1 LIMIT 1""").fetchone()
    found = tool.read(argument, text, connection, {"order_id": order_id} | before)
    assert found == value or (value and argument == "payment_method" and found.startswith(value))


def test_every_document_states_facts_in_sentences_that_name_their_subject():
    documents = sorted(DOCUMENTS.glob("*.md"))
    assert len(documents) == 7
    for document in documents:
        for line in document.read_text("utf-8").splitlines():
            assert not line or line.startswith("#") or line.endswith(".")
            assert not line.startswith(("It ", "They ", "This ", "These ", "That "))
