"""The embedded PostgreSQL: one server for each folder, shared by every process that opens it, recovered by the next.

It knows nothing of schemas. Two locks, both given up by the kernel when a process dies: `lock` is held while the server
is started or stopped, `users` is held in common by everyone who uses it.
"""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO
from urllib.parse import quote

from ..errors import DatabaseUnfit
from .account import Account, binaries, choose_account
from .cluster import PORT, Cluster, alive, socket_folder

log = logging.getLogger("askfirst")


class EmbeddedPostgres:
    """The server of one folder. `start`, as often as need be, is followed by one `leave`; the last process to leave stops
    the server, and one that is killed leaves it to the others or to the next."""

    def __init__(self, folder: Path, *, user: str | None = None):
        self._folder = folder.expanduser().resolve()
        self._user = user
        self._seat: TextIO | None = None

    def start(self) -> str:
        """Start the server, join the running one, or revive one that was killed; its URL over a Unix socket.

        About 1 s the first time, 0.2 s later, 0.03 s to join. Raises `DatabaseUnfit` when no user can run it here and
        `DatabaseDown` when it does not come up.
        """
        cluster = self._cluster()
        with self._one_at_a_time():
            self._take_seat()
            if not cluster.answers():
                cluster.stop()
                if not cluster.data.exists():
                    level = logging.WARNING if cluster.account.lent else logging.INFO
                    log.log(level, "The embedded PostgreSQL in %s runs as user %s.", self._folder, cluster.account.name)
                    cluster.create()
                cluster.launch()
            return f"postgresql://postgres@/postgres?host={quote(str(socket_folder(cluster.data)), safe='/')}&port={PORT}"

    def leave(self) -> None:
        """Give up this process's part in the server, and stop it when nobody else takes part."""
        if self._seat is None:
            return
        cluster = self._cluster()
        with self._one_at_a_time(), self._seat as seat, suppress(BlockingIOError):
            self._seat = None
            fcntl.flock(seat, fcntl.LOCK_EX | fcntl.LOCK_NB)
            cluster.stop()

    def running(self) -> bool:
        """Whether the server lives: the process itself, not a stale file, nor a later process by its number."""
        return alive(self._folder / "data")

    def _cluster(self) -> Cluster:
        account = choose_account(self._folder / "data", wanted=self._user)
        self._make_folder(account)
        return Cluster(self._folder, account, binaries(account, home=self._folder.parent))

    def _make_folder(self, account: Account) -> None:
        try:
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            self._folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise DatabaseUnfit(
                f"{self._folder.parent} cannot be written ({error.strerror})", act="set ASKFIRST_HOME to another folder"
            ) from None
        if account.lent:
            os.chown(self._folder, account.uid, account.gid)
        if not account.can_enter(self._folder):
            raise DatabaseUnfit(
                f"PostgreSQL runs as user {account.name}, who cannot enter {self._folder}",
                act="set ASKFIRST_HOME to a folder whose parents it may pass, such as /var/lib/askfirst",
            )

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        with (self._folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _take_seat(self) -> None:
        if self._seat is None:
            self._seat = (self._folder / "users").open("a")
            fcntl.flock(self._seat, fcntl.LOCK_SH)
