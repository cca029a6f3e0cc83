"""One data folder's PostgreSQL: is it alive, make it, launch it, stop it. Who may do so and when is postgres.py's business."""

import hashlib
import os
import re
import shlex
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from ..errors import DatabaseDown, DatabaseUnfit
from .account import Account

PORT = "5432"
PATIENCE = 120  # seconds for a start or for the recovery after a crash
PLAIN_PATH = re.compile(r"[\w./ -]+")  # a comma or a quote would end the path in PostgreSQL's list of folders
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


def alive(data: Path) -> bool:
    """Whether the process named in `postmaster.pid` lives and is this folder's PostgreSQL, no later one by its number.
    A tenth of a millisecond."""
    written = _postmaster_file(data)
    return bool(written) and _works_in(int(written[0]), data)


def socket_folder(data: Path) -> Path:
    """Where the running server listens."""
    return Path(_postmaster_file(data)[4])


def _postmaster_file(data: Path) -> list[str]:
    """The lines of `postmaster.pid` (number, data folder, start, port, socket folder, ...); empty while not whole."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []
    return lines if len(lines) >= 5 and lines[0].isdecimal() else []


def _works_in(pid: int, data: Path) -> bool:
    """Whether this is a living PostgreSQL process of the folder: each of them has it as its working directory."""
    try:
        process = psutil.Process(pid)
        living = process.name() == "postgres" and process.status() != psutil.STATUS_ZOMBIE
        return living and Path(process.cwd()) == data
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


@dataclass(frozen=True)
class Cluster:
    """A folder with `data`, `log` and `socket`, the account that runs its server, and the binaries to run."""

    folder: Path
    account: Account
    bin: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def answers(self) -> bool:
        """Whether the server takes connections; one that still recovers is waited for."""
        began = time.monotonic()
        while alive(self.data) and time.monotonic() - began < PATIENCE:
            probe = self._run("pg_isready", "-h", str(socket_folder(self.data)), "-p", PORT, "-t", "3")
            if probe.returncode == 0:
                return True
            if probe.returncode == 2 and time.monotonic() - began > 2:  # no response, for instance no socket any more
                return False
            time.sleep(0.1)
        return False

    def stop(self) -> None:
        """Stop the server, however it is; after this no process of this folder is left."""
        for mode in ("fast", "immediate"):  # the second recovers at the next start, as after a crash
            if alive(self.data):
                self._run("pg_ctl", "stop", "-D", "data", "-m", mode, "-t", "20")
        # Backends outlive a killed postmaster for a moment. While one lives, a new server could ruin the data.
        _, stubborn = psutil.wait_procs([each for each in psutil.process_iter() if _works_in(each.pid, self.data)], timeout=5)
        for process in stubborn:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(stubborn, timeout=5)

    def create(self) -> None:
        """A new cluster, made beside and renamed, so that a killed initdb leaves nothing that looks whole."""
        beside = self.folder / "data.new"
        shutil.rmtree(beside, ignore_errors=True)
        made = self._run("initdb", "-D", str(beside), *CLUSTER)
        if made.returncode != 0:
            raise DatabaseDown(f"initdb failed in {self.folder}: {made.stderr.strip().splitlines()[-1]}")
        beside.rename(self.data)

    def launch(self) -> None:
        """Start the server, recovering what a crash left. Only for a folder without a living process: see `stop`."""
        sockets = self._private_socket_folder()
        for stale in (self.data / "postmaster.pid", sockets / f".s.PGSQL.{PORT}.lock", sockets / f".s.PGSQL.{PORT}"):
            stale.unlink(missing_ok=True)
        options = shlex.join(f"--{name}={value}" for name, value in (TUNING | {"unix_socket_directories": str(sockets)}).items())
        # Relative to the folder: pg_ctl puts both paths into a shell command, where a quote or a dollar would do harm.
        started = self._run("pg_ctl", "start", "-w", "-t", str(PATIENCE), "-D", "data", "-l", "log", "-o", options)
        if started.returncode != 0:
            problem = self._last_words() or " ".join(started.stderr.split())
            raise DatabaseDown(f"PostgreSQL did not start: {problem} (see {self.folder / 'log'})")

    def _private_socket_folder(self) -> Path:
        """A folder that only the server's user may enter: beside the data, or in the system's temporary folder when that
        path is too long for a socket. The latter must be ours already or be made by us: anyone can write there."""
        chosen = self.folder / "socket"
        path = str(chosen / f".s.PGSQL.{PORT}.lock")
        if len(os.fsencode(path)) > LONGEST_SOCKET or not PLAIN_PATH.fullmatch(path):
            chosen = Path(tempfile.gettempdir()) / f"askfirst-{hashlib.sha256(bytes(self.folder)).hexdigest()[:12]}"
        with suppress(FileExistsError):
            chosen.mkdir(mode=0o700)
            os.chown(chosen, self.account.uid, self.account.gid)
        found = chosen.lstat()
        if chosen.is_symlink() or found.st_uid != self.account.uid or found.st_mode & 0o077:
            raise DatabaseUnfit(f"{chosen} is no private folder of user {self.account.name}", act="remove it and try again")
        return chosen

    def _last_words(self) -> str:
        with suppress(OSError):
            lines = (self.folder / "log").read_text(errors="replace").splitlines()
            return next((line for line in reversed(lines) if "FATAL" in line), "")
        return ""

    def _run(self, program: str, *arguments: str):
        return self.account.run(self.bin / program, *arguments, cwd=self.folder)
