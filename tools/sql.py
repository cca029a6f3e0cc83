"""The guard of read-only SQL: one SELECT, built only of what an allow-list holds.

It reads the statement as a tree and hands on what it has understood, not the text it was given. It runs nothing:
`query.py` does, behind more safeguards than this one.
"""

import logging
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import OptimizeError, SqlglotError
from sqlglot.optimizer.qualify import qualify

from ..errors import ToolRetry

LONGEST = 4_000  # characters of a statement
STATEMENTS = (exp.Select, exp.Union, exp.Intersect, exp.Except)
TYPES = frozenset(
    exp.DType[name]
    for name in (
        "INT",
        "BIGINT",
        "SMALLINT",
        "DECIMAL",
        "DOUBLE",
        "FLOAT",
        "TEXT",
        "VARCHAR",
        "CHAR",
        "DATE",
        "TIMESTAMP",
        "TIMESTAMPTZ",
        "TIME",
        "BOOLEAN",
        "INTERVAL",
        "UUID",
    )
)
NODES = frozenset(
    {
        exp.Select,
        exp.Union,
        exp.Intersect,
        exp.Except,
        exp.With,
        exp.CTE,
        exp.Subquery,
        exp.From,
        exp.Join,
        exp.Where,
        exp.Group,
        exp.Having,
        exp.Order,
        exp.Ordered,
        exp.Limit,
        exp.Offset,
        exp.Fetch,
        exp.Distinct,
        exp.Table,
        exp.TableAlias,
        exp.Alias,
        exp.Column,
        exp.Identifier,
        exp.Star,
        exp.Literal,
        exp.Null,
        exp.Boolean,
        exp.Paren,
        exp.Tuple,
        exp.Var,
        exp.DataType,
        exp.DataTypeParam,
        exp.And,
        exp.Or,
        exp.Not,
        exp.EQ,
        exp.NEQ,
        exp.GT,
        exp.GTE,
        exp.LT,
        exp.LTE,
        exp.Is,
        exp.In,
        exp.Between,
        exp.Like,
        exp.ILike,
        exp.Exists,
        exp.Any,
        exp.All,
        exp.Add,
        exp.Sub,
        exp.Mul,
        exp.Div,
        exp.Mod,
        exp.Neg,
        exp.DPipe,
        exp.Case,
        exp.If,
        exp.Cast,
        exp.Interval,
        exp.Window,
        exp.WindowSpec,
        exp.Filter,
        exp.WithinGroup,
        exp.Array,
        exp.JSONExtract,
        exp.JSONExtractScalar,
        exp.JSONPath,
        exp.JSONPathRoot,
        exp.JSONPathKey,
        exp.JSONPathSubscript,
        exp.Count,
        exp.Sum,
        exp.Avg,
        exp.Min,
        exp.Max,
        exp.Stddev,
        exp.StddevSamp,
        exp.Variance,
        exp.PercentileCont,
        exp.PercentileDisc,
        exp.GroupConcat,
        exp.ArrayAgg,
        exp.LogicalAnd,
        exp.LogicalOr,
        exp.RowNumber,
        exp.Rank,
        exp.DenseRank,
        exp.Lag,
        exp.Lead,
        exp.FirstValue,
        exp.LastValue,
        exp.Ntile,
        exp.Coalesce,
        exp.Nullif,
        exp.Greatest,
        exp.Least,
        exp.Round,
        exp.Abs,
        exp.Ceil,
        exp.Floor,
        exp.Sqrt,
        exp.Pow,
        exp.Sign,
        exp.Lower,
        exp.Upper,
        exp.Length,
        exp.Trim,
        exp.Substring,
        exp.Concat,
        exp.Replace,
        exp.StrPosition,
        exp.Left,
        exp.Right,
        exp.Initcap,
        exp.SplitPart,
        exp.Extract,
        exp.TimestampTrunc,
        exp.TimeToStr,
        exp.StrToDate,
        exp.CurrentDate,
        exp.CurrentTimestamp,
        exp.CurrentTime,
    }
)
FUNCTIONS = frozenset({"age", "date_part"})  # those the parser has no class for
RESERVED = frozenset({"user", "current_user", "session_user", "system_user", "current_role", "current_catalog", "current_schema"})
SYSTEM = ("pg_", "information_schema")

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of statements that are refused here anyway

Tables = Mapping[str, Collection[str]] | Iterable[str]


def check_read_only(text: str, *, tables: Tables | None = None) -> str:
    """The statement, written anew from what was understood. `ToolRetry` says what in it is not allowed.

    `tables` are names (`schema.name`), or names with the columns that may be read of each; without it any table may be
    read that is not the system's.
    """
    tree = _one_statement(text)
    for node in tree.walk():
        _check_node(node)
    known = None if tables is None else list(tables)
    _check_tables(tree, known)
    if isinstance(tables, Mapping):
        tree = _with_checked_columns(tree, tables)
    return tree.sql(dialect="postgres", comments=False)


def _one_statement(text: str) -> exp.Expr:
    if len(text) > LONGEST:
        raise ToolRetry(f"The statement has {len(text):,} characters, the limit is {LONGEST:,}. Ask for less.")
    try:
        found = [each for each in sqlglot.parse(text, dialect="postgres") if each and not isinstance(each, exp.Semicolon)]
    except (SqlglotError, RecursionError) as error:
        raise ToolRetry(f"The statement cannot be read ({str(error).splitlines()[0][:120]}). Write one plain SELECT.") from None
    if len(found) != 1 or not isinstance(found[0], STATEMENTS):
        raise ToolRetry("Only one SELECT statement may be run. Write a single SELECT without anything before or after it.")
    return found[0]


def _check_node(node: exp.Expr) -> None:
    if type(node) is exp.Anonymous and node.name.casefold() in FUNCTIONS:
        return
    if type(node) not in NODES:
        name = node.name if isinstance(node, exp.Anonymous) else node.key
        raise ToolRetry(f"'{name}' is not allowed in a statement. Use plain SELECT with joins, grouping and common functions.")
    if isinstance(node, exp.DataType) and node.this not in TYPES:
        raise ToolRetry(f"The type {node.sql(dialect='postgres')} is not allowed. Use text, numeric, integer, date or timestamp.")
    if isinstance(node, exp.With) and (node.recursive or node.parent is not node.root()):
        raise ToolRetry("WITH may stand only at the start of the statement, and not be recursive.")
    if isinstance(node, exp.Column) and not node.table and node.name.casefold() in RESERVED:
        raise ToolRetry(f"'{node.name}' is not allowed in a statement.")


def _check_tables(tree: exp.Expr, known: list[str] | None) -> None:
    """Each table is an allowed one or a WITH name defined before it; allowed ones are written with their schema."""
    start = tree.args.get("with_")
    defined: set[str] = set()
    for each in start.expressions if start else ():
        _check_tables_in(each.this, known, defined)
        defined.add(_name(each.args["alias"].this))
    _check_tables_in(tree, known, defined, without=start)


def _check_tables_in(tree: exp.Expr, known: list[str] | None, defined: set[str], without: exp.Expr | None = None) -> None:
    for table in tree.walk(prune=lambda node: node is without):
        if not isinstance(table, exp.Table) or (not table.db and not table.catalog and _name(table.this) in defined):
            continue
        parts = [_name(part) for part in table.parts]
        if not isinstance(table.this, exp.Identifier) or _refers(parts, known) is None:
            allowed = f"Tables that may be read: {', '.join(known)}." if known is not None else "System tables may not be read."
            raise ToolRetry(f"The table '{'.'.join(parts)}' is not allowed. {allowed}")
        if known is not None and len(parts) == 1 and "." in (full := _refers(parts, known) or ""):
            table.set("db", exp.to_identifier(full.split(".")[0]))


def _name(identifier: exp.Expr) -> str:
    """The name as PostgreSQL takes it: lower case unless it is quoted."""
    return identifier.name if identifier.args.get("quoted") else identifier.name.lower()


def _refers(parts: list[str], known: list[str] | None) -> str | None:
    """The allowed table that a name refers to; a name without schema must fit exactly one."""
    if known is None:
        system = any(part.startswith(SYSTEM) for part in parts)
        return None if system or len(parts) > 2 else ".".join(parts)
    fitting = [each for each in known if each == ".".join(parts) or (len(parts) == 1 and each.split(".")[-1] == parts[0])]
    return fitting[0] if len(fitting) == 1 else None


def _with_checked_columns(tree: exp.Expr, tables: Mapping[str, Collection[str]]) -> exp.Expr:
    """The statement with every column resolved among the allowed ones, and `*` written out as those."""
    for node in tree.walk():
        hidden = isinstance(node, exp.Star) and not isinstance(_holder(node), exp.Select | exp.Count)
        if hidden or (isinstance(node, exp.Join) and node.method.upper() == "NATURAL"):
            raise ToolRetry("Name the columns instead of taking whole rows.")
    schema: dict[str, Any] = {}
    for name, columns in tables.items():
        place, _, table = name.rpartition(".")
        schema.setdefault(place or "public", {})[table] = dict.fromkeys(columns, "text")
    try:
        found = qualify(tree, schema=schema, db="public", dialect="postgres", quote_identifiers=False)
        for node in found.walk():
            _check_node(node)
            if isinstance(node, exp.Column) and not node.table and not _names_a_result(node):
                raise OptimizeError(f"'{node.name}' is none of a table")
        return found
    except SqlglotError as error:
        allowed = "; ".join(f"{table}: {', '.join(columns)}" for table, columns in tables.items())
        raise ToolRetry(f"A column is not allowed ({error}). Columns that may be read: {allowed}.") from None


def _names_a_result(column: exp.Column) -> bool:
    """Whether it stands bare in the ORDER BY of a SELECT, where PostgreSQL takes the result column of that name first."""
    order = column.parent.parent if isinstance(column.parent, exp.Ordered) else None
    select = order.parent if order else None
    return isinstance(select, STATEMENTS) and column.name in select.named_selects


def _holder(star: exp.Expr) -> exp.Expr | None:
    return star.parent.parent if isinstance(star.parent, exp.Column) else star.parent
