"""What the shop's tools may be called with: forms of numbers and addresses, and the values that exist right now."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from askfirst.retrieval.database import Connection
from askfirst.tools.registry import Choices
from askfirst.tools.rows import rows

from .shelves import load_methods, load_order

Status = Literal["pending", "pending (items modified)", "processed", "delivered", "cancelled", "return requested",
                 "exchange requested"]

Reason = Literal["no longer needed", "ordered by mistake"]


def product_names(connection: Connection, arguments: Mapping[str, Any]) -> list[str]:
    """Every product of the shop."""
    return [each["name"] for each in rows(connection, "SELECT name FROM shop.products ORDER BY name")]


def line_names(connection: Connection, arguments: Mapping[str, Any]) -> list[str]:
    """The items of the order, each name once."""
    if "order_id" not in arguments:
        return []
    return list(dict.fromkeys(line.name for line in load_order(connection, arguments["order_id"]).lines))


def method_names(connection: Connection, arguments: Mapping[str, Any]) -> list[str]:
    """The payment methods of the order's customer."""
    if "order_id" not in arguments:
        return []
    return [method.name for method in load_methods(connection, load_order(connection, arguments["order_id"]).customer_id)]


def _order_id(value: Any) -> Any:
    return f"#{value.strip().lstrip('#').upper()}" if isinstance(value, str) else value


def _lower(value: Any) -> Any:
    return value.strip().casefold() if isinstance(value, str) else value


def _upper(value: Any) -> Any:
    return value.strip().upper() if isinstance(value, str) else value


OrderId = Annotated[str, BeforeValidator(_order_id), Field(pattern=r"^#W[0-9]{7}$",
                                                           description="order number, such as #W1234567")]
CustomerId = Annotated[str, BeforeValidator(_lower), Field(pattern=r"^[a-z]+_[a-z]+_[0-9]{4}$",
                                                           description="customer number, such as noah_brown_6181")]
Email = Annotated[str, BeforeValidator(_lower), Field(pattern=r"^[^@ ]+@[^@ ]+\.[^@ ]+$",
                                                      description="email address, such as noah@example.com")]
Name = Annotated[str, Field(min_length=3, max_length=100, description="first and last name")]
Product = Annotated[str, Choices(product_names), Field(description="name of a product, such as Water Bottle")]
Options = Annotated[str, Field(max_length=300, description="wanted options, such as black, leather")]
OrderItem = Annotated[str, Choices(line_names), Field(description="item of the order, by its name there")]
OrderItems = Annotated[list[OrderItem], Field(min_length=1, description="items of the order, by their names there")]
PaymentMethod = Annotated[str, Choices(method_names), Field(description="PayPal, gift card or credit card of the customer")]
OtherMethod = Annotated[str, Choices(method_names), Field(description="PayPal, gift card or credit card; empty: the order's own")]
Street = Annotated[str, Field(min_length=3, max_length=100, description="house number and street, such as 12 Main Street")]
Street2 = Annotated[str, Field(max_length=100, description="apartment or suite; empty when there is none")]
City = Annotated[str, Field(min_length=2, max_length=100, description="city")]
StateCode = Annotated[str, BeforeValidator(_upper), Field(pattern=r"^[A-Z]{2}$", description="state in two letters, such as CA")]
ZipCode = Annotated[str, Field(pattern=r"^[0-9]{5}$", description="zip code of five digits")]
Country = Annotated[str, Field(min_length=2, max_length=60, description="country")]
