-- The example shop. Amounts are US dollars; an item is one variant of a product.
CREATE SCHEMA shop;

CREATE TABLE shop.customers (
    customer_id text PRIMARY KEY,
    first_name  text NOT NULL,
    last_name   text NOT NULL,
    email       text NOT NULL UNIQUE,
    street      text NOT NULL,
    street2     text NOT NULL,
    city        text NOT NULL,
    state       text NOT NULL,
    zip_code    text NOT NULL,
    country     text NOT NULL
);

CREATE TABLE shop.payment_methods (
    payment_method_id text PRIMARY KEY,
    customer_id       text NOT NULL REFERENCES shop.customers,
    kind              text NOT NULL CHECK (kind IN ('PayPal', 'gift card', 'credit card')),
    brand             text,
    last_four         text,
    balance           numeric(10, 2) CHECK (balance >= 0),
    CHECK ((kind = 'gift card') = (balance IS NOT NULL))
);
CREATE INDEX ON shop.payment_methods (customer_id);

CREATE TABLE shop.products (
    product_id text PRIMARY KEY,
    name       text NOT NULL UNIQUE
);

CREATE TABLE shop.items (
    item_id    text PRIMARY KEY,
    product_id text NOT NULL REFERENCES shop.products,
    options    json NOT NULL,          -- option name to value, in the order people name them
    price      numeric(10, 2) NOT NULL CHECK (price >= 0),
    available  boolean NOT NULL
);
CREATE INDEX ON shop.items (product_id);

CREATE TABLE shop.orders (
    order_id        text PRIMARY KEY,
    customer_id     text NOT NULL REFERENCES shop.customers,
    status          text NOT NULL CHECK (status IN ('pending', 'pending (items modified)', 'processed', 'delivered',
                                                    'cancelled', 'return requested', 'exchange requested')),
    street          text NOT NULL,
    street2         text NOT NULL,
    city            text NOT NULL,
    state           text NOT NULL,
    zip_code        text NOT NULL,
    country         text NOT NULL,
    tracking_number text,
    cancel_reason   text
);
CREATE INDEX ON shop.orders (customer_id);

CREATE TABLE shop.order_items (
    order_id text NOT NULL REFERENCES shop.orders,
    number   integer NOT NULL,
    item_id  text NOT NULL REFERENCES shop.items,
    price    numeric(10, 2) NOT NULL,
    request  text,                     -- what the customer asked for after delivery: a return or an exchange
    PRIMARY KEY (order_id, number)
);

CREATE TABLE shop.payments (
    order_id          text NOT NULL REFERENCES shop.orders,
    number            integer NOT NULL,
    kind              text NOT NULL CHECK (kind IN ('payment', 'refund')),
    amount            numeric(10, 2) NOT NULL CHECK (amount >= 0),
    payment_method_id text NOT NULL REFERENCES shop.payment_methods,
    PRIMARY KEY (order_id, number)
);
