"""What lies in the shop's tables, as values: orders with their lines and payments, items, payment methods.

It reads only; the look-ups show these values to people, the writes check their rules on them.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from askfirst.errors import ToolRetry
from askfirst.retrieval.database import Connection
from askfirst.tools.rows import Row, row, rows


@dataclass(frozen=True)
class Item:
    """One variant of a product, such as the blue 750ml glass water bottle."""

    item_id: str
    product: str
    options: dict[str, str]
    price: Decimal
    available: bool

    @property
    def described(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.options.items())


@dataclass(frozen=True)
class Line:
    """One item of an order. `name` tells it from the other lines; identical items share it."""

    number: int
    name: str
    item: Item
    price: Decimal
    request: str | None


@dataclass(frozen=True)
class Method:
    """A way a customer can pay, under the name by which the customer would call it."""

    id: str
    kind: str
    name: str
    brand: str | None
    last_four: str | None
    balance: Decimal | None


@dataclass(frozen=True)
class Payment:
    """Money that came in or went back: `kind` is payment or refund, `number` their order."""

    number: int
    kind: str
    amount: Decimal
    method: Method


@dataclass(frozen=True)
class Order:
    """An order with all that belongs to it."""

    order_id: str
    customer_id: str
    status: str
    address: str
    tracking_number: str | None
    cancel_reason: str | None
    lines: tuple[Line, ...]
    payments: tuple[Payment, ...]

    @property
    def total(self) -> Decimal:
        return sum((line.price for line in self.lines), Decimal())

    @property
    def paid(self) -> dict[Method, Decimal]:
        """What each payment method has paid and not got back."""
        sums: dict[Method, Decimal] = {}
        for payment in self.payments:
            signed = payment.amount if payment.kind == "payment" else -payment.amount
            sums[payment.method] = sums.get(payment.method, Decimal()) + signed
        return {method: amount for method, amount in sums.items() if amount > 0}

    @property
    def method(self) -> Method:
        """The method that pays for the order: the latest payment's."""
        return next(payment.method for payment in reversed(self.payments) if payment.kind == "payment")


def load_order(connection: Connection, order_id: str) -> Order:
    """Raises `ToolRetry` when there is no such order."""
    found = row(connection, "SELECT * FROM shop.orders WHERE order_id = %s", [order_id])
    if found is None:
        raise ToolRetry(f"There is no order {order_id}. Ask for the order number, or list the customer's orders.")
    names = ("order_id", "customer_id", "status", "tracking_number", "cancel_reason")
    methods = {method.id: method for method in load_methods(connection, found["customer_id"])}
    return Order(
        **{name: found[name] for name in names},
        address=one_line(found),
        lines=_lines(connection, order_id),
        payments=_payments(connection, order_id, methods),
    )


def load_methods(connection: Connection, customer_id: str) -> list[Method]:
    """A customer's payment methods, each with a name no other of them has."""
    found = rows(
        connection,
        """SELECT * FROM shop.payment_methods WHERE customer_id = %s
                                ORDER BY kind, payment_method_id""",
        [customer_id],
    )
    kinds = Counter(each["kind"] for each in found)
    return [
        Method(
            each["payment_method_id"], each["kind"], _method_name(each, kinds), each["brand"], each["last_four"], each["balance"]
        )
        for each in found
    ]


def load_items(connection: Connection, product: str) -> list[Item]:
    """All items of a product, cheapest first."""
    found = rows(
        connection,
        """SELECT i.*, p.name AS product FROM shop.items i JOIN shop.products p USING (product_id)
                                WHERE p.name = %s ORDER BY i.price, i.item_id""",
        [product],
    )
    return [_item(each) for each in found]


def one_line(address: Row) -> str:
    """An address as on an envelope, in one line."""
    street = ", ".join(part for part in (address["street"], address["street2"]) if part)
    return f"{street}, {address['city']}, {address['state']} {address['zip_code']}, {address['country']}"


def _lines(connection: Connection, order_id: str) -> tuple[Line, ...]:
    found = rows(
        connection,
        """
        SELECT o.number, o.price AS paid, o.request, i.*, p.name AS product
        FROM shop.order_items o JOIN shop.items i USING (item_id) JOIN shop.products p USING (product_id)
        WHERE o.order_id = %s ORDER BY o.number""",
        [order_id],
    )
    items = [_item(each) for each in found]
    names = _line_names(items)
    return tuple(
        Line(each["number"], name, item, each["paid"], each["request"])
        for each, item, name in zip(found, items, names, strict=True)
    )


def _line_names(items: Sequence[Item]) -> list[str]:
    """The product's name, and the options where the order holds different items of one product."""
    variants = Counter(product for product, _ in {(item.product, item.item_id) for item in items})
    return [item.product if variants[item.product] == 1 else f"{item.product} ({item.described})" for item in items]


def _item(found: Row) -> Item:
    return Item(found["item_id"], found["product"], found["options"], found["price"], found["available"])


def _payments(connection: Connection, order_id: str, methods: dict[str, Method]) -> tuple[Payment, ...]:
    found = rows(connection, "SELECT * FROM shop.payments WHERE order_id = %s ORDER BY number", [order_id])
    return tuple(Payment(each["number"], each["kind"], each["amount"], methods[each["payment_method_id"]]) for each in found)


def _method_name(method: Row, kinds: Counter[Any]) -> str:
    if method["kind"] == "credit card":
        return f"{method['brand']} credit card ending in {method['last_four']}"
    only = kinds[method["kind"]] == 1
    return method["kind"] if only else f"{method['kind']} {method['payment_method_id'].rpartition('_')[2]}"
