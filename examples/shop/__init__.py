"""A shop: its policy as documents, its customers, products and orders as tables, its look-ups and writes as tools."""

from .install import DOCUMENTS, install, reset
from .lookups import (
    count_orders,
    find_customer_by_email,
    find_customer_by_name,
    find_item,
    get_customer,
    get_order,
    get_product,
    list_orders,
    list_products,
    track_order,
)
from .writes import (
    cancel_order,
    change_customer_address,
    change_order_address,
    change_order_items,
    change_order_payment,
    exchange_item,
    return_items,
)

__all__ = [
    "DOCUMENTS",
    "cancel_order",
    "change_customer_address",
    "change_order_address",
    "change_order_items",
    "change_order_payment",
    "count_orders",
    "exchange_item",
    "find_customer_by_email",
    "find_customer_by_name",
    "find_item",
    "get_customer",
    "get_order",
    "get_product",
    "install",
    "list_orders",
    "list_products",
    "reset",
    "return_items",
    "track_order",
]
