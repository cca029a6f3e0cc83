"""What the shop's tools may be called with: forms of numbers and addresses, and the values that exist right now."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from askfirst.retrieval.database import Connection
from askfirst.tools.registry import Choices, Reads
from askfirst.tools.rows import rows

from .options import options_of, said_options, without_what_is_replaced
from .shelves import Method, load_items, load_methods, load_order

Status = Literal[
    "pending", "pending (items modified)", "processed", "delivered", "cancelled", "return requested", "exchange requested"
]

REASONS = {
    "ordered by mistake": r"mistake|accident|by error|in error|wrong|unintention|didn'?t mean|did not mean|oops",
    "no longer needed": r"no longer|not need|n'?t need|not want|n'?t want|any ?more|any longer|unneeded|no need|no use|"
    r"chang\w+ (?:my|our|his|her|their) mind",
}
NAMES_OF_STATES = (
    "AL Alabama,AK Alaska,AZ Arizona,AR Arkansas,CA California,CO Colorado,CT Connecticut,DE Delaware,"
    "DC District of Columbia,FL Florida,GA Georgia,HI Hawaii,ID Idaho,IL Illinois,IN Indiana,IA Iowa,KS Kansas,KY Kentucky,"
    "LA Louisiana,ME Maine,MD Maryland,MA Massachusetts,MI Michigan,MN Minnesota,MS Mississippi,MO Missouri,MT Montana,"
    "NE Nebraska,NV Nevada,NH New Hampshire,NJ New Jersey,NM New Mexico,NY New York,NC North Carolina,ND North Dakota,"
    "OH Ohio,OK Oklahoma,OR Oregon,PA Pennsylvania,RI Rhode Island,SC South Carolina,SD South Dakota,TN Tennessee,TX Texas,"
    "UT Utah,VT Vermont,VA Virginia,WA Washington,WV West Virginia,WI Wisconsin,WY Wyoming"
)
STATES = {name.casefold(): code for code, name in (pair.split(" ", 1) for pair in NAMES_OF_STATES.split(","))}


def product_names(connection: Connection, arguments: Mapping[str, Any]) -> list[str]:
    """Every product of the shop."""
    return [each["name"] for each in rows(connection, "SELECT name FROM shop.products ORDER BY name")]


def line_names(connection: Connection, arguments: Mapping[str, Any]) -> list[str]:
    """The items of the order, each name once."""
    if "order_id" not in arguments:
        return []
    return list(dict.fromkeys(line.name for line in load_order(connection, arguments["order_id"]).lines))


def method_ids(connection: Connection, arguments: Mapping[str, Any]) -> list[str]:
    """The payment methods of the order's customer."""
    return [method.id for method in _methods(connection, arguments)]


def method_said(text: str, connection: Connection, arguments: Mapping[str, Any]) -> str | None:
    """The only payment method of the order's customer that the text names: by number, last digits, brand or kind."""
    said = without_what_is_replaced(text).casefold()
    methods = _methods(connection, arguments)
    for names in (
        [[method.id] for method in methods],
        [[method.last_four] for method in methods],
        [[method.brand] for method in methods],
        [[method.kind, f"{method.kind}s"] for method in methods],
    ):
        found = [
            method.id
            for method, forms in zip(methods, names, strict=True)
            if any(form and re.search(rf"(?<!\w){re.escape(form.casefold())}(?!\w)", said) for form in forms)
        ]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def reason_said(text: str, connection: Connection, arguments: Mapping[str, Any]) -> str | None:
    """The only accepted reason that the text gives."""
    found = [reason for reason, words in REASONS.items() if re.search(words, text, re.IGNORECASE)]
    return found[0] if len(found) == 1 else None


def product_options_said(text: str, connection: Connection, arguments: Mapping[str, Any]) -> str | None:
    """The options of the product that the text names."""
    items = load_items(connection, arguments["product"]) if "product" in arguments else []
    return said_options(text, options_of(items))


def item_options_said(text: str, connection: Connection, arguments: Mapping[str, Any]) -> str | None:
    """The options, of the order's item, that the text names."""
    if not {"order_id", "item"} <= arguments.keys():
        return None
    lines = load_order(connection, arguments["order_id"]).lines
    products = [line.item.product for line in lines if line.name == arguments["item"]]
    return said_options(text, options_of(load_items(connection, products[0]) if products else []))


def _methods(connection: Connection, arguments: Mapping[str, Any]) -> list[Method]:
    if "order_id" not in arguments:
        return []
    return load_methods(connection, load_order(connection, arguments["order_id"]).customer_id)


def _order_id(value: str) -> str:
    return f"#{value.lstrip('#').upper()}"


def _lower(value: str) -> str:
    return value.casefold()


def _state(value: str) -> str:
    code = STATES.get(value.casefold(), value.upper())
    if code not in STATES.values():
        raise ValueError("must be a state of the USA, such as CA")
    return code


# A pattern must stand before its validator: behind it pydantic leaves the pattern out of the schema, which the agent reads.
OrderId = Annotated[
    str, Field(pattern=r"^#?[Ww][0-9]{7}$", description="order number, such as #W1234567"), AfterValidator(_order_id)
]
CustomerId = Annotated[
    str,
    Field(pattern=r"^[A-Za-z]+_[A-Za-z]+_[0-9]{4}$", description="customer number, such as noah_brown_6181"),
    AfterValidator(_lower),
]
Email = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$", description="email address, such as noah@example.com"),
    AfterValidator(_lower),
]
Reason = Annotated[
    Literal["no longer needed", "ordered by mistake"],
    Reads(reason_said),
    Field(description="why: no longer needed, or ordered by mistake"),
]
Name = Annotated[str, Field(min_length=3, max_length=100, description="first and last name")]
Product = Annotated[str, Choices(product_names), Field(description="name of a product, such as Water Bottle")]
Wanted = Annotated[str, Field(max_length=300, description="wanted options, such as black, leather")]
ProductOptions = Annotated[Wanted, Reads(product_options_said)]
ItemOptions = Annotated[Wanted, Reads(item_options_said)]
OrderItem = Annotated[str, Choices(line_names), Field(description="item of the order, by its name there")]
OrderItems = Annotated[list[OrderItem], Field(min_length=1, description="items of the order, by their names there")]
PaymentMethod = Annotated[
    str, Choices(method_ids), Reads(method_said), Field(description="PayPal, gift card or credit card of the customer")
]
OtherMethod = Annotated[
    str, Choices(method_ids), Reads(method_said), Field(description="PayPal, gift card or credit card; empty: the order's own")
]
Street = Annotated[str, Field(min_length=3, max_length=100, description="house number and street, such as 12 Main Street")]
Street2 = Annotated[str, Field(max_length=100, description="apartment or suite; empty when there is none")]
City = Annotated[str, Field(min_length=2, max_length=100, description="city")]
StateCode = Annotated[str, AfterValidator(_state), Field(description="state, such as CA")]
ZipCode = Annotated[str, Field(pattern=r"^[0-9]{5}$", description="zip code of five digits")]
Country = Annotated[str, Field(min_length=2, max_length=60, description="country")]
