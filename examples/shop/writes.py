"""The shop's writes, each with the shop's rules. They are performed by the ledger after a person's approval, never by a model.

Every rule that refuses says so in a sentence that names it: the same sentences stand in the shop's documents.
"""

from collections import Counter
from collections.abc import Collection
from decimal import Decimal

from askfirst.errors import ToolRetry
from askfirst.retrieval.database import Connection
from askfirst.tools.registry import Change, tool
from askfirst.tools.rows import Row, row

from .arguments import (
    City,
    Country,
    CustomerId,
    ItemOptions,
    OrderId,
    OrderItem,
    OrderItems,
    OtherMethod,
    PaymentMethod,
    Reason,
    StateCode,
    Street,
    Street2,
    ZipCode,
)
from .lookups import cheapest
from .options import listed, meant_options, options_of
from .shelves import Item, Line, Method, Order, load_items, load_methods, load_order, one_line


@tool(writes=True)
def cancel_order(order_id: OrderId, reason: Reason, connection: Connection) -> Change:
    """Cancels a pending order and refunds what was paid for it.
    Only a pending order can be cancelled.
    """
    order = _held(connection, order_id, status="pending", to="cancelled")
    before = _seen(connection, order_id, order.paid)
    connection.execute("UPDATE shop.orders SET status = 'cancelled', cancel_reason = %s WHERE order_id = %s", [reason, order_id])
    for method, amount in order.paid.items():
        _book(connection, order_id, "refund", amount, method)
    refunds = " and ".join(_refund(amount, method) for method, amount in order.paid.items())
    return Change(f"Cancel order {order_id} ({reason}) and refund {refunds}.", before, _seen(connection, order_id, order.paid))


@tool(writes=True)
def change_order_address(
    order_id: OrderId,
    street: Street,
    city: City,
    state: StateCode,
    zip_code: ZipCode,
    connection: Connection,
    country: Country = "USA",
    street2: Street2 = "",
) -> Change:
    """Changes the delivery address of a pending order.
    Only a pending order can be modified.
    """
    _held(connection, order_id, status="pending", to="modified")
    before = _seen(connection, order_id)
    address = {"street": street, "street2": street2, "city": city, "state": state, "zip_code": zip_code, "country": country}
    connection.execute(
        """UPDATE shop.orders SET street = %(street)s, street2 = %(street2)s, city = %(city)s, state = %(state)s,
        zip_code = %(zip_code)s, country = %(country)s WHERE order_id = %(order_id)s""",
        address | {"order_id": order_id},
    )
    return Change(f"Send order {order_id} to {one_line(address)}.", before, _seen(connection, order_id))


@tool(writes=True)
def change_order_payment(order_id: OrderId, payment_method: PaymentMethod, connection: Connection) -> Change:
    """Changes how a pending order is paid, to one other payment method of the customer.
    A gift card must have enough balance to cover the total amount.
    """
    order = _held(connection, order_id, status="pending", to="modified")
    new, old = _method(connection, order, payment_method), order.method
    if new == old:
        raise ToolRetry(f"Order {order_id} is already paid with {old.name}. The new payment method must be a different one.")
    _must_cover(new, order.total, "the total amount")
    before = _seen(connection, order_id, {old, new})
    _book(connection, order_id, "payment", order.total, new)
    _book(connection, order_id, "refund", order.total, old)
    summary = f"Pay order {order_id} with {new.name} and refund {_refund(order.total, old)}."
    return Change(summary, before, _seen(connection, order_id, {old, new}))


@tool(writes=True)
def change_order_items(
    order_id: OrderId, item: OrderItem, options: ItemOptions, connection: Connection, payment_method: OtherMethod = ""
) -> Change:
    """Changes an item of a pending order to an available item of the same product with other options.
    This can be done only once: afterwards the order can neither be modified nor cancelled.
    """
    order = _held(connection, order_id, status="pending", to="modified")
    line = _lines(order, [item])[0]
    new, unasked = _other_item(connection, line, options)
    method = _method(connection, order, payment_method) if payment_method else order.method
    _must_cover(method, new.price - line.price, "the price difference")
    before = _seen(connection, order_id, {method})
    connection.execute("UPDATE shop.orders SET status = 'pending (items modified)' WHERE order_id = %s", [order_id])
    connection.execute(
        "UPDATE shop.order_items SET item_id = %s, price = %s WHERE order_id = %s AND number = %s",
        [new.item_id, new.price, order_id, line.number],
    )
    _settle(connection, order_id, new.price - line.price, method)
    paid = _difference(new.price - line.price, method)
    summary = f"Change {line.name} of order {order_id} to {new.described}{unasked}; {paid}."
    return Change(summary, before, _seen(connection, order_id, {method}))


@tool(writes=True)
def return_items(order_id: OrderId, items: OrderItems, connection: Connection, refund_to: OtherMethod = "") -> Change:
    """Requests the return of items of a delivered order.
    Only a delivered order can be returned.
    The refund goes to the original payment method or to a gift card of the customer.
    """
    order = _held(connection, order_id, status="delivered", to="returned")
    lines = _lines(order, items)
    method = _method(connection, order, refund_to) if refund_to else order.method
    if method != order.method and method.kind != "gift card":
        raise ToolRetry(f"The refund must go to the original payment method ({order.method.name}) or to an existing gift card.")
    before = _seen(connection, order_id)
    connection.execute("UPDATE shop.orders SET status = 'return requested' WHERE order_id = %s", [order_id])
    for line in lines:
        _request(connection, order_id, line, f"return; {_refund(line.price, method)}")
    amount = sum((line.price for line in lines), Decimal())
    summary = f"Return {', '.join(line.name for line in lines)} of order {order_id}; refund {_refund(amount, method)}."
    return Change(summary, before, _seen(connection, order_id))


@tool(writes=True)
def exchange_item(
    order_id: OrderId, item: OrderItem, options: ItemOptions, connection: Connection, payment_method: OtherMethod = ""
) -> Change:
    """Requests the exchange of an item of a delivered order for an available item of the same product with other options.
    Only a delivered order can be exchanged, and only once.
    """
    order = _held(connection, order_id, status="delivered", to="exchanged")
    line = _lines(order, [item])[0]
    new, unasked = _other_item(connection, line, options)
    method = _method(connection, order, payment_method) if payment_method else order.method
    difference = new.price - line.price
    _must_cover(method, difference, "the price difference")
    before = _seen(connection, order_id, {method})
    connection.execute("UPDATE shop.orders SET status = 'exchange requested' WHERE order_id = %s", [order_id])
    _request(connection, order_id, line, f"exchange for {new.described}, price {new.price}; {_difference(difference, method)}")
    summary = f"Exchange {line.name} of order {order_id} for {new.described}{unasked}; {_difference(difference, method)}."
    return Change(summary, before, _seen(connection, order_id, {method}))


@tool(writes=True)
def change_customer_address(
    customer_id: CustomerId,
    street: Street,
    city: City,
    state: StateCode,
    zip_code: ZipCode,
    connection: Connection,
    country: Country = "USA",
    street2: Street2 = "",
) -> Change:
    """Changes a customer's default address.
    Orders already placed keep their own delivery address.
    """
    old = row(connection, "SELECT * FROM shop.customers WHERE customer_id = %s FOR UPDATE", [customer_id])
    if old is None:
        raise ToolRetry(f"There is no customer {customer_id}. Find the customer by email, or by name and zip code.")
    new = {"street": street, "street2": street2, "city": city, "state": state, "zip_code": zip_code, "country": country}
    connection.execute(
        """UPDATE shop.customers SET street = %(street)s, street2 = %(street2)s, city = %(city)s,
        state = %(state)s, zip_code = %(zip_code)s, country = %(country)s WHERE customer_id = %(customer_id)s""",
        new | {"customer_id": customer_id},
    )
    before, after = ([{"customer": customer_id, "default address": one_line(each)}] for each in (old, new))
    return Change(f"Set the default address of {customer_id} to {one_line(new)}.", before, after)


def _held(connection: Connection, order_id: str, *, status: str, to: str) -> Order:
    """The order, locked together with its customer's payment methods, if its status allows it `to` be changed so."""
    connection.execute("SELECT FROM shop.orders WHERE order_id = %s FOR UPDATE", [order_id])
    customer = load_order(connection, order_id).customer_id
    connection.execute(
        """SELECT FROM shop.payment_methods WHERE customer_id = %s
                          ORDER BY payment_method_id FOR UPDATE""",
        [customer],
    )
    order = load_order(connection, order_id)
    if order.status != status:
        raise ToolRetry(f"Order {order_id} is {order.status}. Only a {status} order can be {to}.")
    return order


def _seen(connection: Connection, order_id: str, methods: Collection[Method] = ()) -> list[Row]:
    """The order, its lines and payments, and the gift cards among `methods`, as rows a person reads."""
    order = load_order(connection, order_id)
    cards = [each for each in load_methods(connection, order.customer_id) if each.id in {method.id for method in methods}]
    return [
        {"order": order_id, "status": order.status, "address": order.address, "cancelled because": order.cancel_reason},
        *(
            {
                "item": f"{line.number}, {line.item.product}",
                "options": line.item.described,
                "price": line.price,
                "request": line.request,
            }
            for line in order.lines
        ),
        *({payment.kind: payment.number, "amount": payment.amount, "method": payment.method.name} for payment in order.payments),
        *({"balance of": card.name, "amount": card.balance} for card in cards if card.balance is not None),
    ]


def _book(connection: Connection, order_id: str, kind: str, amount: Decimal, method: Method) -> None:
    """Records a payment or refund; a gift card's balance follows at once, other methods are settled elsewhere."""
    connection.execute(
        """
        INSERT INTO shop.payments (order_id, number, kind, amount, payment_method_id)
        SELECT %(order)s, coalesce(max(number), 0) + 1, %(kind)s, %(amount)s, %(method)s
        FROM shop.payments WHERE order_id = %(order)s""",
        {"order": order_id, "kind": kind, "amount": amount, "method": method.id},
    )
    connection.execute(
        "UPDATE shop.payment_methods SET balance = balance + %s WHERE payment_method_id = %s",
        [amount if kind == "refund" else -amount, method.id],
    )


def _refund(amount: Decimal, method: Method) -> str:
    when = "immediately" if method.kind == "gift card" else "in 5 to 7 business days"
    return f"{amount} to {method.name} {when}"


def _method(connection: Connection, order: Order, id: str) -> Method:
    return next(method for method in load_methods(connection, order.customer_id) if method.id == id)


def _must_cover(method: Method, amount: Decimal, what: str) -> None:
    if method.balance is not None and method.balance < amount:
        raise ToolRetry(
            f"The {method.name} holds {method.balance} and {what} is {amount}. "
            f"A gift card must have enough balance to cover {what}; choose another payment method."
        )


def _lines(order: Order, names: list[str]) -> list[Line]:
    """The order's lines of these names; one named twice is two lines."""
    left, found = list(order.lines), []
    for name, wanted in Counter(names).items():
        same = [line for line in left if line.name == name]
        if len(same) < wanted:
            raise ToolRetry(f"Order {order.order_id} holds {name} {len(same)} times, not {wanted}. Name each item once.")
        found += same[:wanted]
    return found


def _other_item(connection: Connection, line: Line, options: str) -> tuple[Item, str]:
    """The available item of the line's product with the wanted options that otherwise differs least, then costs least;
    and, in words, what differs beyond what was wanted."""
    product = line.item.product
    items = load_items(connection, product)
    wanted = meant_options(options, options_of(items), product=product)
    if not wanted:
        raise ToolRetry(f"Say which options the {product} should have. Its options are: {listed(options_of(items))}.")
    others = [item for item in items if item.item_id != line.item.item_id]
    kept = sorted(others, key=lambda item: -len(item.options.items() & line.item.options.items()))
    new = cheapest(kept, wanted, product=product)
    unasked = [name for name, value in new.options.items() if name not in wanted and value != line.item.options.get(name)]
    return new, f" (the nearest available; {' and '.join(unasked)} differ too)" if unasked else ""


def _settle(connection: Connection, order_id: str, difference: Decimal, method: Method) -> None:
    if difference:
        _book(connection, order_id, "payment" if difference > 0 else "refund", abs(difference), method)


def _difference(difference: Decimal, method: Method) -> str:
    if not difference:
        return "the price is the same"
    return f"{difference} more is paid with {method.name}" if difference > 0 else f"refund {_refund(-difference, method)}"


def _request(connection: Connection, order_id: str, line: Line, request: str) -> None:
    connection.execute(
        "UPDATE shop.order_items SET request = %s WHERE order_id = %s AND number = %s", [request, order_id, line.number]
    )
