"""A small bank whose one write the ledger's tests propose; also the process that is killed while it approves.

Run as `python bank.py URL PROPOSAL POINT`: it approves, and at the named point says so and waits to be killed.
"""

import sys
import time
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from askfirst.retrieval.database import Database
from askfirst.tools import proposals
from askfirst.tools.registry import Change, Choices, Connection, Registry, tool
from askfirst.tools.rows import row, rows

TABLES = """
    CREATE TABLE accounts (name text PRIMARY KEY, balance integer NOT NULL CHECK (balance < 1000));
    CREATE TABLE promises (name text UNIQUE DEFERRABLE INITIALLY DEFERRED);
    INSERT INTO accounts VALUES ('Ann', 10), ('Bob Stone', 20);
    INSERT INTO promises VALUES ('rent');
"""


def names(connection: Connection, arguments: Mapping[str, Any]) -> list[str]:
    return [each["name"] for each in rows(connection, "SELECT name FROM accounts ORDER BY name")]


Name = Annotated[str, Choices(names), Field(description="whose account")]
Amount = Annotated[int, Field(ge=1, le=990, description="whole dollars")]


@tool
def balance(name: Name, connection: Connection) -> int:
    """Shows how much is on an account."""
    found = row(connection, "SELECT balance FROM accounts WHERE name = %s", [name])
    return found["balance"] if found else 0


@tool(writes=True)
def deposit(name: Name, amount: Amount, connection: Connection) -> Change:
    """Pays money into an account."""
    before = rows(connection, "SELECT name, balance FROM accounts WHERE name = %s FOR UPDATE", [name])
    after = rows(connection, "UPDATE accounts SET balance = balance + %s WHERE name = %s RETURNING name, balance", [amount, name])
    return Change(f"Pay {amount} into the account of {name}.", before, after)


@tool(writes=True)
def promise(name: str, connection: Connection) -> Change:
    """Writes down a promise."""
    connection.execute("INSERT INTO promises VALUES (%s)", [name])
    return Change(
        f"Promise {name}.", [], [{"promise": name, "at": row(connection, "SELECT clock_timestamp() AS at")}], varying=("at",)
    )


@tool(writes=True)
def impatient(name: str, connection: Connection) -> Change:
    """Tries to commit by itself."""
    connection.execute("INSERT INTO promises VALUES (%s)", [name])
    connection.commit()
    return Change("Done.", [], [])


BANK = Registry([balance, deposit, promise, impatient])


def die(point: str) -> None:
    print(point, flush=True)
    time.sleep(60)


def main() -> None:
    url, id, point = sys.argv[1:]
    written, append = proposals._written, proposals.append

    def dying_write(*arguments: Any) -> Change:
        change = written(*arguments)
        if point == "written":
            die(point)
        return change

    def dying_append(connection: Connection, event: str, proposal: str, facts: dict[str, Any]) -> None:
        append(connection, event, proposal, facts)
        if point == event:
            die(point)

    proposals._written, proposals.append = dying_write, dying_append
    proposals.approve(Database(url, None), BANK, id, by="dying")
    die("committed")


if __name__ == "__main__":
    main()
