"""Puts the shop's tables and data into a database, under the schema `shop`. Knows nothing of the tools that use them."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, LiteralString

from askfirst.retrieval.database import Connection

FOLDER = Path(__file__).parent
DOCUMENTS = FOLDER / "documents"
KINDS = {"paypal": "PayPal", "gift_card": "gift card", "credit_card": "credit card"}


def install(connection: Connection) -> None:
    """Creates and fills the shop where there is none; an existing one is left as it is. Processes take turns."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('askfirst.examples.shop'))")
        found = connection.execute("SELECT FROM pg_namespace WHERE nspname = 'shop'").rowcount
        if not found:
            _create(connection)


def reset(connection: Connection) -> None:
    """Throws away what became of the shop and fills it anew."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('askfirst.examples.shop'))")
        connection.execute("DROP SCHEMA IF EXISTS shop CASCADE")
        _create(connection)


def _create(connection: Connection) -> None:
    connection.execute((FOLDER / "tables.sql").read_bytes())
    users, products, orders = (_data(name) for name in ("users", "products", "orders"))
    _copy(connection, "COPY shop.customers FROM STDIN", _customers(users))
    _copy(connection, "COPY shop.payment_methods FROM STDIN", _payment_methods(users))
    _copy(connection, "COPY shop.products FROM STDIN", ((id, product["name"]) for id, product in products.items()))
    _copy(connection, "COPY shop.items FROM STDIN", _items(products))
    _copy(connection, "COPY shop.orders FROM STDIN", _orders(orders))
    _copy(connection, "COPY shop.order_items FROM STDIN", _order_items(orders))
    _copy(connection, "COPY shop.payments FROM STDIN", _payments(orders))


def _data(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / "data" / f"{name}.json").read_text("utf-8"))


def _copy(connection: Connection, statement: LiteralString, rows: Iterable[tuple[Any, ...]]) -> None:
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _customers(users: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    for id, user in users.items():
        yield id, user["name"]["first_name"], user["name"]["last_name"], user["email"], *_address(user["address"])


def _address(address: dict[str, str]) -> tuple[str, ...]:
    return tuple(address[part] for part in ("address1", "address2", "city", "state", "zip", "country"))


def _payment_methods(users: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    for customer, user in users.items():
        for id, method in user["payment_methods"].items():
            yield id, customer, KINDS[method["source"]], method.get("brand"), method.get("last_four"), method.get("balance")


def _items(products: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    for product, described in products.items():
        for id, item in described["variants"].items():
            yield id, product, json.dumps(item["options"]), item["price"], item["available"]


def _orders(orders: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    for id, order in orders.items():
        tracking = next((each["tracking_id"][0] for each in order["fulfillments"]), None)
        yield id, order["user_id"], order["status"], *_address(order["address"]), tracking, None


def _order_items(orders: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    for id, order in orders.items():
        for number, item in enumerate(order["items"], start=1):
            yield id, number, item["item_id"], item["price"], None


def _payments(orders: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    for id, order in orders.items():
        for number, payment in enumerate(order["payment_history"], start=1):
            yield id, number, payment["transaction_type"], payment["amount"], payment["payment_method_id"]
