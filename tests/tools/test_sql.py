"""The SQL guard lets one plain SELECT over allowed tables through, and nothing else, however it is dressed."""

import random
import re

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st

from askfirst.errors import ToolRetry
from askfirst.tools.sql import STATEMENTS, check_read_only

TABLES = ["shop.orders", "shop.items", "public.customers"]
COLUMNS = {"shop.orders": ["order_id", "status"], "public.users": ["id"]}
DANGEROUS = [
    "SELECT 1; DROP TABLE customers",
    "SELECT * INTO newt FROM customers",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT pg_terminate_backend(1)",
    "SELECT * FROM customers FOR UPDATE",
    "WITH d AS (DELETE FROM customers RETURNING *) SELECT * FROM d",
    "MERGE INTO customers USING (SELECT 1 a) s ON customers.a = s.a WHEN MATCHED THEN DELETE",
    "COPY (SELECT * FROM customers) TO PROGRAM 'curl evil'",
    "EXPLAIN ANALYZE DELETE FROM customers",
    "SELECT dblink_exec('', 'drop table x')",
    "SELECT setval('s', 1)",
    "SELECT pg_sleep(1e9)",
    "TRUNCATE customers",
    "CALL p((SELECT 1))",
    "SELECT set_config('role', 'postgres', false)",
    "SET ROLE postgres",
]
MORE = [
    "",
    ";",
    "DO $$ BEGIN END $$",
    "LISTEN x",
    "NOTIFY x",
    "VACUUM",
    "LOCK TABLE customers",
    "CREATE TABLE t AS SELECT 1",
    "VALUES (1)",
    "SELECT nextval('s')",
    "SELECT txid_current()",
    "SELECT query_to_xml('delete from x', true, true, '')",
    "SELECT current_role",
    "SELECT version()",
    "SELECT current_setting('x')",
    "SELECT pg_catalog.pg_sleep(1)",
    'SELECT "pg_sleep"(1)',
    "SELECT 'x'::regclass",
    "SELECT 'x'::oid",
    "SELECT $1",
    "SELECT $$x$$",
    "SELECT E'a'",
    "SELECT U&'a'",
    "SELECT * FROM customers TABLESAMPLE SYSTEM (1)",
    "SELECT * FROM pg_class",
    "SELECT * FROM pg_catalog.pg_authid",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM secret",
    "SELECT (SELECT 1 FROM secret)",
    "SELECT 1 UNION SELECT 1 FROM secret",
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM secret)",
    "SELECT 1 FROM customers JOIN secret USING (a)",
    "SELECT 1 FROM customers ORDER BY (SELECT 1 FROM secret)",
    "SELECT 1 FROM customers LIMIT (SELECT 1 FROM secret)",
    'SELECT * FROM "Customers"',
    "SELECT * FROM other.customers",
    "SELECT * FROM x.public.customers",
    "SELECT * FROM pg_ls_dir('.')",
    "SELECT * FROM generate_series(1, 9)",
    "SELECT repeat('x', 9)",
    "WITH a AS (SELECT * FROM secret), secret AS (SELECT 1) SELECT * FROM a",
    "SELECT * FROM (WITH secret AS (SELECT 1) SELECT * FROM secret) x, secret",
    "WITH RECURSIVE r AS (SELECT 1 UNION ALL SELECT 1 FROM r) SELECT * FROM r",
    "SELECT * FROM customers, LATERAL (SELECT 1) x",
    "SELECT 1 OPERATOR(pg_catalog.+) 1",
    "(" * 600 + "SELECT 1" + ")" * 600,
    "SELECT 1 -- \n; DROP TABLE customers",
    "SELECT '\\'; DROP TABLE customers; --'",
    "SELECT 1" + " " * 5_000,
    "SELECT ROW(1, 2)",
]
FINE = [
    "SELECT status, COUNT(*) AS n FROM shop.orders GROUP BY status HAVING COUNT(*) > 1 ORDER BY n DESC LIMIT 5",
    "SELECT DISTINCT o.status FROM shop.orders AS o JOIN shop.items AS i USING (item_id) WHERE i.options ->> 'color' ILIKE 'b%'",
    "SELECT CASE WHEN price > 10 THEN 'dear' ELSE 'cheap' END, AVG(price) FROM shop.items GROUP BY 1",
    "WITH a AS (SELECT status FROM shop.orders) SELECT * FROM a UNION SELECT status FROM shop.orders",
    "SELECT DATE_TRUNC('MONTH', CURRENT_TIMESTAMP), EXTRACT(YEAR FROM CURRENT_DATE), CAST('1' AS INT)",
    "SELECT ROW_NUMBER() OVER (PARTITION BY status ORDER BY order_id) FROM shop.orders",
    "SELECT * FROM shop.orders WHERE order_id = ANY(ARRAY['#W1', '#W2']) AND NOT status IN ('a', 'b')",
]


@pytest.mark.parametrize("statement", DANGEROUS)
def test_each_dangerous_form_is_refused(statement: str):
    with pytest.raises(ToolRetry):
        check_read_only(statement, tables=TABLES)
    with pytest.raises(ToolRetry):
        check_read_only(statement)


@pytest.mark.parametrize("statement", MORE)
def test_what_is_no_plain_select_over_the_tables_is_refused(statement: str):
    with pytest.raises(ToolRetry) as refused:
        check_read_only(statement, tables=TABLES)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("statement", FINE)
def test_a_plain_select_passes_and_passes_again(statement: str):
    assert check_read_only(statement, tables=TABLES) == statement
    assert check_read_only(statement) == statement


def test_tables_are_written_with_their_schema_and_comments_left_out():
    assert check_read_only("/* x */ select * from Orders; -- y", tables=TABLES) == "SELECT * FROM shop.Orders"
    with pytest.raises(ToolRetry, match="'orders' is not allowed"):
        check_read_only("SELECT * FROM orders", tables=["a.orders", "b.orders"])


@pytest.mark.parametrize(
    ("statement", "written"),
    [
        ("SELECT * FROM orders", "SELECT orders.order_id AS order_id, orders.status AS status FROM shop.orders AS orders"),
        ("SELECT 1 AS secret FROM users ORDER BY secret", "SELECT 1 AS secret FROM public.users AS users ORDER BY secret"),
        (
            "WITH t AS (SELECT id AS x FROM users) SELECT x FROM t",
            "WITH t AS (SELECT users.id AS x FROM public.users AS users) SELECT t.x AS x FROM t AS t",
        ),
    ],
)
def test_columns_are_resolved_among_the_allowed_ones(statement: str, written: str):
    assert check_read_only(statement, tables=COLUMNS) == written


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT secret FROM users",
        "SELECT u.secret FROM users u",
        "SELECT u FROM users u",
        "SELECT (u.*)::text FROM users u",
        "SELECT id FROM users ORDER BY secret",
        "SELECT id FROM users ORDER BY users",
        "SELECT id FROM users WHERE secret = 1",
        "SELECT id FROM users GROUP BY id HAVING max(secret) > 1",
        "SELECT 1 AS secret FROM users ORDER BY secret + 0",
        "SELECT 1 AS secret FROM users HAVING max(secret) > 2",
        "SELECT id FROM users NATURAL JOIN orders",
        "SELECT id FROM users JOIN orders USING (secret)",
        "SELECT row_number() OVER (ORDER BY secret) FROM users",
        "SELECT sum(id) OVER w FROM users WINDOW w AS (ORDER BY secret)",
        "SELECT DISTINCT ON (secret) id FROM users",
        "SELECT array_agg(id ORDER BY u) FROM users u",
        "SELECT (SELECT u.secret) FROM users u",
        "SELECT u.secret.x FROM users u",
        "SELECT id FROM users UNION SELECT secret FROM users",
        "SELECT x.secret FROM (SELECT * FROM users) x",
    ],
)
def test_a_column_that_is_not_allowed_is_refused_wherever_it_stands(statement: str):
    with pytest.raises(ToolRetry):
        check_read_only(statement, tables=COLUMNS)


def test_ten_thousand_mutated_attacks_are_refused():
    """Each is an attack with other letters, spaces, comments, parentheses, aliases or wrapping."""
    chance = random.Random(7)
    attacks = [each for each in DANGEROUS + MORE if len(each) < 200 and each.strip("; ")]
    passed = [mutant for mutant in (mutated(chance.choice(attacks), chance) for _ in range(10_000)) if gets_through(mutant)]
    assert passed == []


def mutated(statement: str, chance: random.Random) -> str:
    for _ in range(chance.randint(1, 3)):
        statement = chance.choice(MUTATIONS)(statement, chance)
    return statement


MUTATIONS = [
    lambda text, chance: (
        "".join(chance.choice((each.lower(), each.upper())) for each in text) if not set(text) & set("'\"$") else text
    ),
    lambda text, chance: (
        re.sub(r" ", lambda _: chance.choice((" ", "  ", "\t", "\n", " /**/ ")), text) if not set(text) & set("'\"$-") else text
    ),
    lambda text, chance: text + chance.choice((";", " ", ";;", " -- x", " /* x */")),
    lambda text, chance: chance.choice((";", " ", "/* a */ ", "-- a\n")) + text,
    lambda text, chance: f"SELECT 1; {text}",
    lambda text, chance: f"{text}; SELECT 1",
    lambda text, chance: f"WITH a AS ({text}) SELECT * FROM a",
    lambda text, chance: f"SELECT * FROM ({text}) AS a",
    lambda text, chance: f"SELECT ({text})",
    lambda text, chance: f"{text} UNION ALL {text}",
    lambda text, chance: f"SELECT 1 FROM customers WHERE EXISTS ({text})",
    lambda text, chance: f"EXPLAIN ANALYZE {text}",
    lambda text, chance: f"CREATE TEMP TABLE a AS {text}",
    lambda text, chance: text.replace("SELECT ", "SELECT ALL ", 1),
]


def gets_through(statement: str) -> bool:
    """Whether something passes that is not one SELECT over allowed tables and functions; harmless halves may."""
    try:
        written = check_read_only(statement, tables=TABLES)
    except ToolRetry:
        return False
    (tree,) = sqlglot.parse(written, dialect="postgres")
    tables = {f"{table.db}.{table.name}".lower() for table in tree.find_all(sqlglot.exp.Table)}
    return not isinstance(tree, STATEMENTS) or not tables <= {*TABLES, ".a"} or bool(list(tree.find_all(sqlglot.exp.Anonymous)))


WORDS = (
    "select from where orders secret pg_sleep ( ) , * ; ' \" 1 delete update into for lock with as union -- /* */ $$ :: regclass"
).split()


@given(st.text(max_size=80) | st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join))
def test_any_text_is_refused_or_reads_only_what_is_allowed(text: str):
    assert not gets_through(text)
