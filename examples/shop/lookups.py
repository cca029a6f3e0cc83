"""The shop's look-ups: what a person may ask about customers, orders and products. They change nothing."""

from dataclasses import dataclass

from askfirst.errors import ToolRetry
from askfirst.retrieval.database import Connection
from askfirst.tools.registry import tool
from askfirst.tools.rows import Row, row, rows

from .arguments import CustomerId, Email, Name, OrderId, Product, ProductOptions, Status, ZipCode, product_names
from .options import listed, meant_options, options_of
from .shelves import Item, Method, Order, load_items, load_methods, load_order, one_line


@dataclass(frozen=True)
class CustomerDetails:
    """What the shop knows of a customer; `orders` are numbers."""

    customer_id: str
    name: str
    email: str
    address: str
    payment_methods: list[str]
    orders: list[str]


@dataclass(frozen=True)
class ItemDetails:
    """A line of an order, at the price that was paid; `request` is what was asked for it since, such as a return."""

    name: str
    options: str
    price: float
    request: str | None


@dataclass(frozen=True)
class OrderDetails:
    """`paid_with` is the method that pays now; `refunds` name amount and method of each."""

    order_id: str
    customer_id: str
    status: str
    items: list[ItemDetails]
    total: float
    paid_with: str
    refunds: list[str]
    address: str
    tracking_number: str | None
    cancel_reason: str | None


@dataclass(frozen=True)
class OrderSummary:
    """An order in one line."""

    order_id: str
    status: str
    items: str
    total: float


@dataclass(frozen=True)
class ProductDetails:
    """Prices and options are those of the items that are available."""

    product: str
    lowest_price: float | None
    highest_price: float | None
    items_available: int
    items_in_all: int
    options: dict[str, list[str]]


@dataclass(frozen=True)
class FoundItem:
    """An item that can be bought, with all of its options."""

    product: str
    options: str
    price: float
    item_id: str


@dataclass(frozen=True)
class ProductList:
    """The names of the products, in order."""

    count: int
    products: list[str]


@dataclass(frozen=True)
class OrderCount:
    """How many orders stand so."""

    status: str
    orders: int


@dataclass(frozen=True)
class Tracking:
    """Where an order stands; no number before it was shipped."""

    order_id: str
    status: str
    tracking_number: str | None


@tool
def find_customer_by_email(email: Email, connection: Connection) -> CustomerDetails:
    """Finds the customer who has this email address, with name, address, payment methods and orders."""
    found = row(connection, "SELECT * FROM shop.customers WHERE email = %s", [email])
    if found is None:
        raise ToolRetry(f"No customer has the email address {email}. Ask for it again, or for name and zip code.")
    return _customer(connection, found)


@tool
def find_customer_by_name(name: Name, zip_code: ZipCode, connection: Connection) -> CustomerDetails:
    """Finds the customer of this first and last name who lives at this zip code."""
    found = rows(
        connection,
        """SELECT * FROM shop.customers
                                WHERE lower(first_name || ' ' || last_name) = lower(%s) AND zip_code = %s""",
        [name, zip_code],
    )
    if len(found) != 1:
        number = "No customer" if not found else "More than one customer"
        raise ToolRetry(f"{number} named {name} lives at zip code {zip_code}. Ask for the email address.")
    return _customer(connection, found[0])


@tool
def get_customer(customer_id: CustomerId, connection: Connection) -> CustomerDetails:
    """Shows a customer's name, email, address, payment methods and order numbers."""
    return _customer(connection, _customer_row(connection, customer_id))


@tool
def list_orders(customer_id: CustomerId, connection: Connection) -> list[OrderSummary]:
    """Lists all orders of a customer with status, items and total."""
    _customer_row(connection, customer_id)
    found = rows(connection, "SELECT order_id FROM shop.orders WHERE customer_id = %s ORDER BY order_id", [customer_id])
    return [_summary(load_order(connection, each["order_id"])) for each in found]


@tool
def get_order(order_id: OrderId, connection: Connection) -> OrderDetails:
    """Shows an order: status, items with options and prices, total, payment, delivery address and tracking number."""
    order = load_order(connection, order_id)
    items = [ItemDetails(line.item.product, line.item.described, float(line.price), line.request) for line in order.lines]
    refunds = [f"{payment.amount} to {payment.method.name}" for payment in order.payments if payment.kind == "refund"]
    return OrderDetails(
        order.order_id,
        order.customer_id,
        order.status,
        items,
        float(order.total),
        order.method.name,
        refunds,
        order.address,
        order.tracking_number,
        order.cancel_reason,
    )


@tool
def track_order(order_id: OrderId, connection: Connection) -> Tracking:
    """Shows where an order stands: its status and, once it was shipped, its tracking number."""
    order = load_order(connection, order_id)
    return Tracking(order.order_id, order.status, order.tracking_number)


@tool
def count_orders(status: Status, connection: Connection) -> OrderCount:
    """Counts the orders of the whole shop that have this status."""
    found = row(connection, "SELECT count(*) AS orders FROM shop.orders WHERE status = %s", [status])
    return OrderCount(status, found["orders"] if found else 0)


@tool
def list_products(connection: Connection) -> ProductList:
    """Lists the names of all products that the shop sells."""
    names = product_names(connection, {})
    return ProductList(len(names), names)


@tool
def get_product(product: Product, connection: Connection) -> ProductDetails:
    """Shows a product: lowest and highest price, the options available, and how many items are available."""
    items = load_items(connection, product)
    available = [item for item in items if item.available]
    prices = [float(item.price) for item in available]
    return ProductDetails(
        product, min(prices, default=None), max(prices, default=None), len(available), len(items), options_of(available)
    )


@tool
def find_item(product: Product, connection: Connection, options: ProductOptions = "") -> FoundItem:
    """Finds the cheapest available item of a product that has the wanted options, with its price."""
    items = load_items(connection, product)
    wanted = meant_options(options, options_of(items), product=product)
    item = cheapest(items, wanted, product=product)
    return FoundItem(product, item.described, float(item.price), item.item_id)


def cheapest(items: list[Item], wanted: dict[str, str], *, product: str) -> Item:
    """The first available item, items being cheapest first, that has all wanted options; `ToolRetry` lists what there is."""
    available = [item for item in items if item.available]
    fitting = [item for item in available if wanted.items() <= item.options.items()]
    if not fitting:
        named = ", ".join(f"{name} {value}" for name, value in wanted.items()) or "any options"
        raise ToolRetry(f"No {product} with {named} is available. Available are: {listed(options_of(available)) or 'none'}.")
    return fitting[0]


def _customer_row(connection: Connection, customer_id: str) -> Row:
    found = row(connection, "SELECT * FROM shop.customers WHERE customer_id = %s", [customer_id])
    if found is None:
        raise ToolRetry(f"There is no customer {customer_id}. Find the customer by email, or by name and zip code.")
    return found


def _customer(connection: Connection, found: Row) -> CustomerDetails:
    id = found["customer_id"]
    orders = rows(connection, "SELECT order_id FROM shop.orders WHERE customer_id = %s ORDER BY order_id", [id])
    return CustomerDetails(
        id,
        f"{found['first_name']} {found['last_name']}",
        found["email"],
        one_line(found),
        [_described(method) for method in load_methods(connection, id)],
        [each["order_id"] for each in orders],
    )


def _described(method: Method) -> str:
    return f"{method.name} ({method.id})" if method.balance is None else f"{method.name} ({method.id}, balance {method.balance})"


def _summary(order: Order) -> OrderSummary:
    return OrderSummary(order.order_id, order.status, ", ".join(line.item.product for line in order.lines), float(order.total))
