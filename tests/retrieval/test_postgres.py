"""The embedded server is shared, killed, robbed of its files, and comes back with every acknowledged row."""

import logging
import os
import pwd
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from askfirst.errors import DatabaseUnfit
from askfirst.retrieval.postgres import EmbeddedPostgres

AS_ROOT = os.geteuid() == 0

WRITER = """
import sys
from pathlib import Path
import psycopg
from askfirst.retrieval.postgres import EmbeddedPostgres
connection = psycopg.connect(EmbeddedPostgres(Path(sys.argv[1])).start(), autocommit=True)
connection.execute("CREATE TABLE rows (n int PRIMARY KEY)")
for n in range(1_000_000):
    connection.execute("INSERT INTO rows VALUES (%s)", [n])
    print(n, flush=True)
"""

VISITOR = """
import sys
from pathlib import Path
import psycopg
from askfirst.retrieval.postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
with psycopg.connect(server.start()) as connection:
    print(connection.execute("SELECT system_identifier FROM pg_control_system()").fetchone()[0], flush=True)
sys.stdin.readline() if len(sys.argv) > 2 else None
server.leave()
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """One home for most of these tests: a new one would cost each of them an initdb."""
    with tempfile.TemporaryDirectory(prefix="askfirst-test-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture
def server(folder: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(folder / "postgres")
    yield server
    server.start()
    server.leave()
    assert not server.running()


def postmaster(folder: Path) -> psutil.Process:
    return psutil.Process(int((folder / "postgres/data/postmaster.pid").read_text().split()[0]))


def kill_whole_server(folder: Path) -> None:
    """SIGKILL to the postmaster and all of its children at once, as when the power goes."""
    family = [postmaster(folder), *postmaster(folder).children(recursive=True)]
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, timeout=10)


def answer(url: str, query: str = "SELECT 1") -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
    return row and row[0]


def test_the_last_to_leave_stops_the_server(server: EmbeddedPostgres, folder: Path):
    url = server.start()
    other = EmbeddedPostgres(folder / "postgres")
    assert other.start() == url
    server.leave()
    assert other.running()
    assert answer(url) == 1
    other.leave()
    assert not other.running()


def test_a_stopped_server_starts_again_with_its_rows(server: EmbeddedPostgres):
    with psycopg.connect(server.start()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    server.leave()
    assert answer(server.start(), "SELECT n FROM kept") == 7


def test_two_processes_that_start_at_once_share_one_server(server: EmbeddedPostgres, folder: Path, script):
    visitors = [script(VISITOR, folder / "postgres", "wait") for _ in range(2)]
    seen = {visitor.stdout.readline() for visitor in visitors}
    assert len(seen) == 1
    assert server.running()


def test_a_user_who_is_killed_does_not_keep_the_server_from_being_stopped(server: EmbeddedPostgres, folder: Path, script):
    server.start()
    visitor = script(VISITOR, folder / "postgres", "wait")
    visitor.stdout.readline()
    visitor.send_signal(signal.SIGKILL)
    visitor.wait()
    server.leave()
    assert not server.running()


def test_a_killed_postmaster_is_replaced(server: EmbeddedPostgres, folder: Path):
    server.start()
    process = postmaster(folder)
    process.kill()
    psutil.wait_procs([process], timeout=10)
    assert not server.running()
    assert answer(server.start()) == 1


def test_every_acknowledged_row_survives_a_kill_of_writer_and_server(server: EmbeddedPostgres, folder: Path, script):
    writer = script(WRITER, folder / "postgres")
    acknowledged = [int(writer.stdout.readline()) for _ in range(300)]
    kill_whole_server(folder)
    writer.kill()
    acknowledged += [int(line) for line in writer.stdout.read().split()]
    with psycopg.connect(server.start()) as connection:
        rows = {n for (n,) in connection.execute("SELECT n FROM rows")}
    assert rows >= set(acknowledged)
    assert len(rows) <= len(acknowledged) + 1


def test_a_stale_file_whose_number_now_belongs_to_another_process_is_no_obstacle(server: EmbeddedPostgres, folder: Path):
    server.start()
    pid_file = folder / "postgres/data/postmaster.pid"
    written = pid_file.read_text().splitlines()
    kill_whole_server(folder)
    pid_file.write_text("\n".join([str(os.getppid()), *written[1:]]))
    lock = folder / "postgres/socket/.s.PGSQL.5432.lock"
    lock.write_text("\n".join([str(os.getppid()), *written[1:]]))
    assert not server.running()
    assert answer(server.start()) == 1


def test_a_server_whose_socket_was_deleted_is_started_anew(server: EmbeddedPostgres, folder: Path):
    server.start()
    (folder / "postgres/socket/.s.PGSQL.5432").unlink()
    other = EmbeddedPostgres(folder / "postgres")
    assert answer(other.start()) == 1
    other.leave()


def test_an_interrupted_creation_leaves_nothing_in_the_way(open_folder: Path):
    half = open_folder / "postgres/data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    server = EmbeddedPostgres(open_folder / "postgres")
    try:
        assert answer(server.start()) == 1
    finally:
        server.leave()


@pytest.mark.parametrize("name", ["a" * 90, 'comma, quote\' and "$HOME" ü'])
def test_a_path_unfit_for_a_socket_gets_a_private_folder_elsewhere(open_folder: Path, name: str):
    server = EmbeddedPostgres(open_folder / name / "postgres")
    try:
        url = server.start()
        sockets = Path(url.split("host=")[1].split("&")[0])
        assert answer(url) == 1
        assert sockets.stat().st_mode & 0o777 == 0o700
    finally:
        server.leave()
    sockets.rmdir()


def test_only_a_unix_socket_in_a_private_folder_is_open(server: EmbeddedPostgres, folder: Path):
    url = server.start()
    assert answer(url, "SHOW listen_addresses") == ""
    assert (folder / "postgres/socket").stat().st_mode & 0o777 == 0o700
    assert not postmaster(folder).net_connections(kind="inet")


@pytest.mark.skipif(not AS_ROOT, reason="only root lends another user")
def test_root_lends_an_existing_user_and_says_so(open_folder: Path, caplog: pytest.LogCaptureFixture):
    server = EmbeddedPostgres(open_folder / "postgres")
    with caplog.at_level(logging.WARNING, "askfirst"):
        server.start()
    user = postmaster(open_folder).username()
    server.leave()
    assert user in ("postgres", "nobody")
    assert f"runs as user {user}" in caplog.text
    assert open_folder.stat().st_mode & 0o777 == 0o755


@pytest.mark.skipif(not AS_ROOT, reason="only root lends another user")
def test_root_names_the_user_in_a_setting(open_folder: Path):
    server = EmbeddedPostgres(open_folder / "postgres", user="nobody")
    server.start()
    try:
        assert postmaster(open_folder).username() == "nobody"
    finally:
        server.leave()


def test_an_unknown_user_is_refused_with_the_setting_to_change(open_folder: Path):
    if not AS_ROOT:
        pytest.skip("only root lends another user")
    with pytest.raises(DatabaseUnfit, match="no user nosuchuser; name an existing user in ASKFIRST_POSTGRES_USER"):
        EmbeddedPostgres(open_folder / "postgres", user="nosuchuser").start()


@pytest.mark.skipif(not AS_ROOT, reason="only root lends another user")
def test_a_folder_closed_to_the_lent_user_is_refused_and_stays_closed(open_folder: Path):
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(DatabaseUnfit, match=r"cannot enter .* set ASKFIRST_HOME"):
        EmbeddedPostgres(closed / "postgres").start()
    assert closed.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(not AS_ROOT, reason="only root lends another user")
def test_binaries_that_the_lent_user_cannot_reach_are_copied_once(open_folder: Path, monkeypatch: pytest.MonkeyPatch):
    from askfirst.retrieval import account

    closed = open_folder / "venv"
    closed.mkdir(mode=0o700)
    package = account._package_folder()
    for part in (package, *package.parent.glob(f"{package.name}.libs")):
        subprocess.run(["cp", "-r", part, closed], check=True)
    monkeypatch.setattr(account, "_package_folder", lambda: closed / package.name)
    server = EmbeddedPostgres(open_folder / "postgres")
    try:
        assert answer(server.start()) == 1
        (copy,) = open_folder.glob("postgresql-*")
        made = copy.stat().st_mtime
        server.leave()
        server.start()
        assert [each.stat().st_mtime for each in open_folder.glob("postgresql-*")] == [made]
    finally:
        server.leave()


@pytest.mark.skipif(not AS_ROOT, reason="needs root to become another user")
def test_a_folder_of_another_user_is_refused(server: EmbeddedPostgres, folder: Path):
    server.start()
    (folder / "postgres").chmod(0o755)  # what a person may do to their own folder
    other = pwd.getpwnam("daemon")
    code = """
import os, sys
os.setgid(int(sys.argv[3])), os.setuid(int(sys.argv[2]))
from pathlib import Path
from askfirst.errors import DatabaseUnfit
from askfirst.retrieval.postgres import EmbeddedPostgres
try:
    EmbeddedPostgres(Path(sys.argv[1])).start()
except DatabaseUnfit as error:
    print(error)
"""
    imported_first = f"import askfirst.retrieval.postgres\n{code}"
    command = [sys.executable, "-c", imported_first, folder / "postgres", str(other.pw_uid), str(other.pw_gid)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "does not belong to daemon; run as its owner, or set ASKFIRST_HOME" in said


def test_visitors_come_and_go_without_a_restart(server: EmbeddedPostgres, folder: Path):
    server.start()
    before = postmaster(folder).pid
    for _ in range(3):
        visitor = EmbeddedPostgres(folder / "postgres")
        visitor.start()
        visitor.leave()
    assert postmaster(folder).pid == before
