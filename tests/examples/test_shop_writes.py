"""The shop's writes keep its rules, and what they change is what their preview says."""

from typing import Any

import pytest

from askfirst.errors import ToolRetry
from askfirst.examples import shop as example
from askfirst.retrieval.database import Connection, Database
from askfirst.tools import proposals as ledger
from askfirst.tools.registry import Registry, Tool, perform

ADDRESS = {"street": "1 Main Street", "city": "Austin", "state": "Texas", "zip_code": "78701"}


def order(connection: Connection, status: str, *, paid: str | None = None, methods: int = 1) -> str:
    """The first order of this status, paid in this way, whose customer has at least so many payment methods."""
    return connection.execute(
        """
        SELECT o.order_id FROM shop.orders o JOIN shop.payments p ON p.order_id = o.order_id AND p.number = 1
        JOIN shop.payment_methods m USING (payment_method_id)
        WHERE o.status = %s AND (%s::text IS NULL OR m.kind = %s)
          AND (SELECT count(*) FROM shop.payment_methods x WHERE x.customer_id = o.customer_id) >= %s
          AND (SELECT count(DISTINCT i.item_id) FROM shop.order_items i WHERE i.order_id = o.order_id) > 1
        ORDER BY 1 LIMIT 1""",
        [status, paid, paid, methods],
    ).fetchone()[0]


def paid_with(connection: Connection, order_id: str) -> str:
    return connection.execute(
        "SELECT payment_method_id FROM shop.payments WHERE order_id = %s AND number = 1", [order_id]
    ).fetchone()[0]


def give(connection: Connection, order_id: str, kind: str, balance: object = None) -> str:
    """Gives the order's customer one more payment method."""
    connection.execute(
        """
        INSERT INTO shop.payment_methods SELECT 'given_' || %s, customer_id, %s, 'visa', '0001', %s
        FROM shop.orders WHERE order_id = %s""",
        [order_id[2:], kind, balance, order_id],
    )
    return f"given_{order_id[2:]}"


def balance(connection: Connection, id: str) -> float:
    return float(connection.execute("SELECT balance FROM shop.payment_methods WHERE payment_method_id = %s", [id]).fetchone()[0])


def show(connection: Connection, order_id: str) -> Any:
    return example.get_order.call({"order_id": order_id}, connection=connection)


def write(connection: Connection, tool: Tool, **arguments: Any) -> str:
    return perform(tool, arguments, connection).preview()


def refuse(connection: Connection, sentence: str, tool: Tool, **arguments: Any) -> None:
    before = show(connection, arguments["order_id"])
    with pytest.raises(ToolRetry) as refused, connection.transaction():
        perform(tool, arguments, connection)
    assert sentence in str(refused.value)
    assert show(connection, arguments["order_id"]) == before


@pytest.mark.parametrize(
    ("kind", "when"),
    [("gift card", "immediately"), ("PayPal", "in 5 to 7 business days"), ("credit card", "in 5 to 7 business days")],
)
def test_a_pending_order_is_cancelled_and_refunded_to_where_it_came_from(connection: Connection, kind: str, when: str):
    id = order(connection, "pending", paid=kind)
    total, card = show(connection, id)["total"], paid_with(connection, id)
    before = balance(connection, card) if kind == "gift card" else 0
    preview = write(connection, example.cancel_order, order_id=id, reason="no longer needed")
    assert f"refund {total:.2f} to" in preview
    assert when in preview
    assert "status: pending -> cancelled" in preview
    after = show(connection, id)
    assert (after["status"], after["cancel_reason"], len(after["refunds"])) == ("cancelled", "no longer needed", 1)
    if kind == "gift card":
        assert balance(connection, card) == pytest.approx(before + total)


@pytest.mark.parametrize("status", ["processed", "delivered", "cancelled"])
def test_only_a_pending_order_is_cancelled_or_modified(connection: Connection, status: str):
    id = order(connection, status)
    item = show(connection, id)["items"][0]["name"]
    refuse(
        connection,
        f"is {status}. Only a pending order can be cancelled",
        example.cancel_order,
        order_id=id,
        reason="ordered by mistake",
    )
    refuse(connection, "Only a pending order can be modified", example.change_order_address, order_id=id, **ADDRESS)
    refuse(
        connection,
        "Only a pending order can be modified",
        example.change_order_payment,
        order_id=id,
        payment_method=paid_with(connection, id),
    )
    refuse(
        connection, "Only a pending order can be modified", example.change_order_items, order_id=id, item=item, options="black"
    )


@pytest.mark.parametrize("status", ["pending", "processed", "cancelled"])
def test_only_a_delivered_order_is_returned_or_exchanged(connection: Connection, status: str):
    id = order(connection, status)
    item = show(connection, id)["items"][0]["name"]
    refuse(connection, f"is {status}. Only a delivered order can be returned", example.return_items, order_id=id, items=[item])
    refuse(connection, "Only a delivered order can be exchanged", example.exchange_item, order_id=id, item=item, options="black")


def test_another_reason_is_no_reason(connection: Connection):
    refuse(
        connection,
        "'no longer needed' or 'ordered by mistake'",
        example.cancel_order,
        order_id=order(connection, "pending"),
        reason="too expensive",
    )


def test_the_address_of_a_pending_order_is_changed_and_the_customers_stays(connection: Connection):
    id = order(connection, "pending")
    customer = {"customer_id": show(connection, id)["customer_id"]}
    home = example.get_customer.call(customer, connection=connection)["address"]
    preview = write(connection, example.change_order_address, order_id=id, **ADDRESS)
    assert show(connection, id)["address"] == "1 Main Street, Austin, TX 78701, USA"
    assert "-> 1 Main Street, Austin, TX 78701, USA" in preview
    assert example.get_customer.call(customer, connection=connection)["address"] == home


def test_the_address_of_a_customer_is_changed_and_the_orders_stay(connection: Connection):
    id = order(connection, "pending")
    before = show(connection, id)
    write(connection, example.change_customer_address, customer_id=before["customer_id"], **ADDRESS, street2="Unit 2")
    after = example.get_customer.call({"customer_id": before["customer_id"]}, connection=connection)
    assert after["address"] == "1 Main Street, Unit 2, Austin, TX 78701, USA"
    assert show(connection, id) == before


@pytest.mark.parametrize(
    ("part", "value", "sentence"),
    [("state", "Bavaria", "must be a state of the USA"), ("zip_code", "7870", "zip code of five digits")],
)
def test_a_wrong_address_is_refused(connection: Connection, part: str, value: str, sentence: str):
    refuse(connection, sentence, example.change_order_address, order_id=order(connection, "pending"), **ADDRESS | {part: value})


def test_the_payment_method_changes_once_to_a_different_one_that_covers_the_total(connection: Connection):
    id = order(connection, "pending", paid="PayPal")
    total, paypal = show(connection, id)["total"], paid_with(connection, id)
    refuse(connection, "must be a different one", example.change_order_payment, order_id=id, payment_method=paypal)
    card = give(connection, id, "gift card", total - 0.01)
    refuse(
        connection,
        "must have enough balance to cover the total amount",
        example.change_order_payment,
        order_id=id,
        payment_method=card,
    )
    connection.execute("UPDATE shop.payment_methods SET balance = %s WHERE payment_method_id = %s", [total, card])
    preview = write(connection, example.change_order_payment, order_id=id, payment_method=card)
    assert f"refund {total:.2f} to PayPal in 5 to 7 business days" in preview
    assert (balance(connection, card), show(connection, id)["status"]) == (0, "pending")
    assert "mastercard" not in show(connection, id)["paid_with"]
    write(connection, example.change_order_payment, order_id=id, payment_method=paypal)
    assert balance(connection, card) == pytest.approx(total)
    write(connection, example.cancel_order, order_id=id, reason="no longer needed")
    assert balance(connection, card) == pytest.approx(total)


def test_a_payment_method_of_someone_else_is_refused(connection: Connection):
    refuse(
        connection,
        "It must be one of",
        example.change_order_payment,
        order_id=order(connection, "pending"),
        payment_method="paypal_0000000",
    )


def bottle(connection: Connection, status: str) -> tuple[str, str, str]:
    """An order of this status with a water bottle, dearer options that are available, and the difference in price."""
    return connection.execute(
        """
        SELECT o.order_id, 'color ' || (x.options ->> 'color') || ', material ' || (x.options ->> 'material')
            || ', capacity ' || (x.options ->> 'capacity'), x.price - l.price
        FROM shop.orders o JOIN shop.order_items l USING (order_id) JOIN shop.items i USING (item_id)
        JOIN shop.products p USING (product_id) JOIN shop.items x ON x.product_id = p.product_id AND x.available
        WHERE o.status = %s AND p.name = 'Water Bottle' AND x.price > l.price
        ORDER BY 1, x.item_id LIMIT 1""",
        [status],
    ).fetchone()


def test_an_item_changes_once_within_its_product_and_the_difference_is_paid(connection: Connection):
    id, options, difference = bottle(connection, "pending")
    before = show(connection, id)
    refuse(connection, "Say which options", example.change_order_items, order_id=id, item="Water Bottle", options="please")
    refuse(connection, "is not an option", example.change_order_items, order_id=id, item="Water Bottle", options="leather")
    card = give(connection, id, "gift card", float(difference) - 0.01)
    refuse(
        connection,
        "must have enough balance to cover the price difference",
        example.change_order_items,
        order_id=id,
        item="Water Bottle",
        options=options,
        payment_method=card,
    )
    preview = write(connection, example.change_order_items, order_id=id, item="water bottle", options=options)
    after = show(connection, id)
    assert after["status"] == "pending (items modified)"
    assert after["total"] == pytest.approx(before["total"] + float(difference))
    assert f"{difference} more is paid with {before['paid_with']}" in preview
    refuse(
        connection,
        "Only a pending order can be modified",
        example.change_order_items,
        order_id=id,
        item="Water Bottle",
        options=options,
    )
    refuse(connection, "Only a pending order can be cancelled", example.cancel_order, order_id=id, reason="no longer needed")


def test_a_preview_says_what_differs_beyond_what_was_asked(connection: Connection):
    preview = write(connection, example.change_order_items, order_id="#W1429524", item="Coffee Maker", options="black")
    assert "(the nearest available; capacity and type differ too)" in preview.splitlines()[0]


def test_items_are_returned_to_the_original_method_or_a_gift_card(connection: Connection):
    id = order(connection, "delivered", paid="PayPal")
    names = [item["name"] for item in show(connection, id)["items"]]
    visa = give(connection, id, "credit card")
    refuse(
        connection,
        "must go to the original payment method (PayPal) or to an existing gift card",
        example.return_items,
        order_id=id,
        items=names[:1],
        refund_to=visa,
    )
    refuse(connection, "items cannot be 'x'", example.return_items, order_id=id, items=["x"])
    refuse(connection, "at least 1 item", example.return_items, order_id=id, items=[])
    connection.execute("UPDATE shop.payment_methods SET kind = 'gift card', balance = 1 WHERE payment_method_id = %s", [visa])
    preview = write(connection, example.return_items, order_id=id, items=names[:1], refund_to=visa)
    after = show(connection, id)
    assert after["status"] == "return requested"
    assert [item["request"] is not None for item in after["items"]] == [True] + [False] * (len(names) - 1)
    assert "to gift card immediately" in preview
    assert balance(connection, visa) == 1
    refuse(connection, "Only a delivered order can be returned", example.return_items, order_id=id, items=names[1:2])


def test_identical_items_are_returned_as_often_as_they_were_bought(connection: Connection):
    id, name, count = connection.execute("""
        SELECT o.order_id, p.name, count(*) FROM shop.orders o JOIN shop.order_items USING (order_id)
        JOIN shop.items USING (item_id) JOIN shop.products p USING (product_id)
        GROUP BY 1, 2 HAVING count(DISTINCT item_id) = 1 AND count(*) > 1 ORDER BY 1 LIMIT 1""").fetchone()
    connection.execute("UPDATE shop.orders SET status = 'delivered' WHERE order_id = %s", [id])
    refuse(
        connection, f"holds {name} {count} times, not {count + 1}", example.return_items, order_id=id, items=[name] * (count + 1)
    )
    write(connection, example.return_items, order_id=id, items=[name] * count)
    assert sum(item["request"] is not None for item in show(connection, id)["items"]) == count


def test_an_item_is_exchanged_once_and_the_difference_must_be_covered(connection: Connection):
    id, options, difference = bottle(connection, "delivered")
    card = give(connection, id, "gift card", float(difference) - 0.01)
    refuse(
        connection,
        "must have enough balance to cover the price difference",
        example.exchange_item,
        order_id=id,
        item="Water Bottle",
        options=options,
        payment_method=card,
    )
    connection.execute("UPDATE shop.payment_methods SET balance = 500 WHERE payment_method_id = %s", [card])
    preview = write(connection, example.exchange_item, order_id=id, item="Water Bottle", options=options, payment_method=card)
    assert f"{difference} more is paid with" in preview
    after = show(connection, id)
    assert after["status"] == "exchange requested"
    assert any((item["request"] or "").startswith("exchange for") for item in after["items"])
    refuse(
        connection,
        "Only a delivered order can be exchanged",
        example.exchange_item,
        order_id=id,
        item="Water Bottle",
        options=options,
    )


def test_a_write_goes_through_the_ledger_once(shop: Database):
    tools = Registry.load(["askfirst.examples.shop"])
    arguments = {"order_id": "W8770097", "reason": "ordered by mistake"}
    made = ledger.propose(
        shop, tools.get("cancel_order"), arguments, key="shop:1", requester="agent", thread="t", run="r", hours=1
    )
    assert made.preview.splitlines()[0] == (
        "Cancel order #W8770097 (ordered by mistake) and refund 544.29 to PayPal in 5 to 7 business days."
    )
    with shop.connection() as connection:
        assert show(connection, "#W8770097")["status"] == "pending"
        assert ledger.approve(shop, tools, made.id, by="maria", digest=made.digest).result == made.preview
        assert show(connection, "#W8770097")["status"] == "cancelled"
        example.reset(connection)
