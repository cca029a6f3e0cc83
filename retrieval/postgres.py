"""The embedded PostgreSQL: one server for each data folder, shared by every process that opens it, recovered by the next.

It supervises the wheel's binaries and knows nothing of schemas. Two locks, both given up by the kernel when a process
dies: `lock` is held while the server is started or stopped, `users` is held in common by everyone who uses it.
"""

import fcntl
import hashlib
import logging
import os
import re
import shlex
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO
from urllib.parse import quote

import psutil

from ..errors import DatabaseDown, DatabaseUnfit
from .account import Account, binaries, choose_account

log = logging.getLogger("askfirst")

PORT = "5432"
PATIENCE = 120  # seconds for a start or for the recovery after a crash
PLAIN_SOCKET = re.compile(r"[\w./ -]+")  # a comma or a quote would end the path in PostgreSQL's list of folders
LONGEST_SOCKET = 103  # bytes of a socket's path on macOS; Linux takes 107
CLUSTER = (
    "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8", "--no-instructions",
)  # fmt: skip
# fsync and synchronous_commit stay on: what was acknowledged must survive a power cut. The rest suits a laptop: no
# parallel workers (a container's shared memory is often 64 MB), room to extend an HNSW graph in memory.
TUNING = {
    "listen_addresses": "", "port": PORT, "unix_socket_permissions": "0700", "shared_buffers": "128MB",
    "work_mem": "16MB", "maintenance_work_mem": "256MB", "max_parallel_maintenance_workers": "0",
    "max_parallel_workers_per_gather": "0", "jit": "off", "wal_level": "minimal", "max_wal_senders": "0",
}  # fmt: skip


class EmbeddedPostgres:
    """The server of one folder. Each `start` is followed by one `leave`; the last process to leave stops the server."""

    def __init__(self, folder: Path, *, user: str | None = None):
        self._folder = folder.expanduser().resolve()
        self._data = self._folder / "data"
        self._user = user
        self._seat: TextIO | None = None

    def start(self) -> str:
        """Start the server or join the running one; its URL. About 3 s the first time, 0.3 s later. Called again by
        who already takes part, it revives a server that was killed."""
        account = self._prepare()
        bin = binaries(account, home=self._folder.parent)
        with self._one_at_a_time():
            self._take_seat()
            if not self._answers(account, bin):
                self._stop(account, bin)
                self._launch(account, bin)
        return f"postgresql://postgres@/postgres?host={quote(str(self._socket_folder()), safe='/')}&port={PORT}"

    def leave(self) -> None:
        """Give up this process's part in the server, and stop it when nobody else takes part."""
        if self._seat is None:
            return
        account = choose_account(self._data, wanted=self._user)
        with self._one_at_a_time(), self._seat as seat, suppress(BlockingIOError):
            self._seat = None
            fcntl.flock(seat, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._stop(account, binaries(account, home=self._folder.parent))

    def running(self) -> bool:
        """Whether the process named in `postmaster.pid` lives and is this folder's PostgreSQL, no later one by its number.
        A tenth of a millisecond."""
        written = self._postmaster_file()
        return bool(written) and self._is_ours(int(written[0]))

    def _prepare(self) -> Account:
        """The account that will run the server, after making the folders that it needs."""
        home = self._folder.parent
        account = choose_account(self._data, wanted=self._user)
        try:
            home.mkdir(parents=True, exist_ok=True)
            self._folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise DatabaseUnfit(f"{home} cannot be written ({error.strerror})", act="set ASKFIRST_HOME to another folder") from None
        if account.lent:
            os.chown(self._folder, account.uid, account.gid)
        if not account.can_enter(self._folder):
            raise DatabaseUnfit(
                f"PostgreSQL runs as user {account.name}, who cannot enter {self._folder}",
                act="set ASKFIRST_HOME to a folder whose parents it may pass, such as /var/lib/askfirst",
            )
        return account

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        with (self._folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _take_seat(self) -> None:
        if self._seat is None:
            self._seat = (self._folder / "users").open("a")
            fcntl.flock(self._seat, fcntl.LOCK_SH)

    def _answers(self, account: Account, bin: Path) -> bool:
        """Whether the server takes connections; one that still recovers is waited for."""
        began = time.monotonic()
        while self.running() and time.monotonic() - began < PATIENCE:
            probe = account.run(bin / "pg_isready", "-h", self._socket_folder(), "-p", PORT, "-t", "3", cwd=self._folder)
            if probe.returncode == 0:
                return True
            no_response = probe.returncode == 2
            if no_response and time.monotonic() - began > 5:
                return False
            time.sleep(0.1)
        return False

    def _stop(self, account: Account, bin: Path) -> None:
        """Stop a server, however it is; after this no process of this folder is left."""
        if self.running():
            account.run(bin / "pg_ctl", "stop", "-D", self._data, "-m", "fast", "-t", PATIENCE, cwd=self._folder)
        # Backends outlive a killed postmaster for a moment. While one lives, a new server could ruin the data.
        _, stubborn = psutil.wait_procs(self._processes(), timeout=5)
        for process in stubborn:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(stubborn, timeout=5)

    def _launch(self, account: Account, bin: Path) -> None:
        if not self._data.exists():
            log.warning("The embedded PostgreSQL in %s runs as user %s.", self._folder, account.name)
            self._create_cluster(account, bin)
        sockets = self._choose_socket_folder(account)
        for stale in (self._data / "postmaster.pid", sockets / f".s.PGSQL.{PORT}.lock", sockets / f".s.PGSQL.{PORT}"):
            stale.unlink(missing_ok=True)
        options = TUNING | {"unix_socket_directories": str(sockets)}
        started = account.run(
            bin / "pg_ctl", "start", "-w", "-t", PATIENCE, "-D", self._data, "-l", self._folder / "log",
            "-o", shlex.join(f"--{name}={value}" for name, value in options.items()), cwd=self._folder,
        )  # fmt: skip
        if started.returncode != 0:
            raise DatabaseDown(f"PostgreSQL did not start: {self._last_words(started.stderr)} (see {self._folder / 'log'})")

    def _create_cluster(self, account: Account, bin: Path) -> None:
        """Made beside and renamed, so that a killed initdb leaves nothing that looks whole."""
        beside = self._folder / "data.new"
        shutil.rmtree(beside, ignore_errors=True)
        made = account.run(bin / "initdb", "-D", beside, *CLUSTER, cwd=self._folder)
        if made.returncode != 0:
            raise DatabaseDown(f"initdb failed in {self._folder}: {made.stderr.strip().splitlines()[-1]}")
        beside.rename(self._data)

    def _choose_socket_folder(self, account: Account) -> Path:
        """A folder that only the server's user may enter: beside the data, or in the system's temporary folder when that
        path is too long for a socket. The latter must be ours already or be made by us: anyone can write there."""
        if self._fits(near := self._folder / "socket"):
            chosen = near
        else:
            chosen = Path(tempfile.gettempdir()) / f"askfirst-{hashlib.sha256(bytes(self._folder)).hexdigest()[:12]}"
        with suppress(FileExistsError):
            chosen.mkdir(mode=0o700)
            if account.lent:
                os.chown(chosen, account.uid, account.gid)
        found = chosen.lstat()
        if chosen.is_symlink() or found.st_uid != account.uid or found.st_mode & 0o077:
            raise DatabaseUnfit(f"{chosen} is not a private folder of user {account.name}", act="remove it and try again")
        return chosen

    @staticmethod
    def _fits(folder: Path) -> bool:
        path = str(folder / f".s.PGSQL.{PORT}.lock")
        return len(os.fsencode(path)) <= LONGEST_SOCKET and PLAIN_SOCKET.fullmatch(path) is not None

    def _socket_folder(self) -> Path:
        return Path(self._postmaster_file()[4])

    def _postmaster_file(self) -> list[str]:
        """The lines of `postmaster.pid` (number, data folder, start, port, socket folder, ...); empty while not whole."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return []
        return lines if len(lines) >= 5 else []

    def _processes(self) -> list[psutil.Process]:
        return [process for process in psutil.process_iter() if self._is_ours(process.pid)]

    def _is_ours(self, pid: int) -> bool:
        """Whether this is a living PostgreSQL process of this folder: each of them works in its data folder."""
        try:
            process = psutil.Process(pid)
            alive = process.name() == "postgres" and process.status() != psutil.STATUS_ZOMBIE
            return alive and Path(process.cwd()) == self._data
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False

    def _last_words(self, stderr: str) -> str:
        with suppress(OSError):
            lines = (self._folder / "log").read_text(errors="replace").splitlines()
            return next((line for line in reversed(lines) if "FATAL" in line), stderr.strip())
        return stderr.strip()
