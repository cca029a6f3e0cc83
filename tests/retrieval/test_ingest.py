"""Files become documents once, wholly or not at all, whatever else goes wrong."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from askfirst.errors import EmbedderMismatch, NothingToIngest
from askfirst.retrieval.database import Database
from askfirst.retrieval.documents import IngestReport
from askfirst.retrieval.embed import Embedder
from askfirst.retrieval.ingest import ingest
from askfirst.retrieval.readers import LARGEST
from askfirst.retrieval.search import document, search

INGEST = """
import sys
from pathlib import Path
from askfirst.retrieval.database import Database
from askfirst.retrieval.embed import Embedder
from askfirst.retrieval.ingest import ingest
from askfirst.settings import Settings
settings = Settings(home=Path(sys.argv[1]))
database, embedder = Database.open(settings), Embedder.open(settings.home)
print("ready", flush=True)
sys.stdin.readline() if len(sys.argv) > 4 else None
report = ingest(database, embedder, [sys.argv[2]], collection=sys.argv[3], progress=lambda *done: print(*done, flush=True))
database.close()
print(len(report.added), len(report.changed), len(report.unchanged), len(report.skipped))
"""


@pytest.fixture
def collection(database: Database, request: pytest.FixtureRequest) -> Iterator[str]:
    """A collection of the test's own name, removed at its end."""
    name = request.node.name
    yield name
    with database.connection() as connection:
        connection.execute("DELETE FROM askfirst.collections WHERE name = %s", [name])


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    (folder / "deep").mkdir(parents=True)
    (folder / "returns.md").write_text("# Returns\n\nCustomers have thirty days.\n\n# Fees\n\nThere are none.")
    (folder / "deep" / "shipping.txt").write_text("Parcels take two days.")
    return folder


def whole(database: Database, collection: str) -> bool:
    """Whether every document of the collection has just the chunks that it was stored with."""
    with database.connection() as connection:
        rows = connection.execute(
            """
            SELECT documents.chunks, count(chunks.id),
                bool_and(substr(documents.text, "start" + 1, "end" - "start") = chunks.text)
            FROM askfirst.documents
            LEFT JOIN askfirst.chunks ON chunks.document = documents.id
            WHERE documents.collection = (SELECT id FROM askfirst.collections WHERE name = %s)
            GROUP BY documents.id
            """,
            [collection],
        ).fetchall()
    return all(stored == counted and exact for stored, counted, exact in rows)


def test_a_folder_is_ingested_under_relative_names(database: Database, embedder: Embedder, docs: Path, collection: str):
    report = ingest(database, embedder, [docs], collection=collection)
    assert report == IngestReport(added=("returns.md", "deep/shipping.txt"), chunks=3)
    assert document(database, "deep/shipping.txt", collection=collection).text == "Parcels take two days."
    assert whole(database, collection)


def test_a_single_file_is_named_by_its_name(database: Database, embedder: Embedder, docs: Path, collection: str):
    assert ingest(database, embedder, [docs / "deep" / "shipping.txt"], collection=collection).added == ("shipping.txt",)


def test_unchanged_files_are_not_even_parsed(
    database: Database, embedder: Embedder, docs: Path, collection: str, monkeypatch: pytest.MonkeyPatch
):
    ingest(database, embedder, [docs], collection=collection)
    monkeypatch.setattr("askfirst.retrieval.ingest.read", lambda path, content: pytest.fail("it was parsed"))
    assert ingest(database, embedder, [docs], collection=collection).unchanged == ("returns.md", "deep/shipping.txt")


def test_a_changed_file_replaces_its_document(database: Database, embedder: Embedder, docs: Path, collection: str):
    ingest(database, embedder, [docs], collection=collection)
    (docs / "returns.md").write_text("Customers have ninety days.")
    assert ingest(database, embedder, [docs], collection=collection).changed == ("returns.md",)
    texts = [found.text for found in search(database, embedder, "returns", collection=collection)]
    assert sorted(texts) == ["Customers have ninety days.", "Parcels take two days."]


def test_vanished_files_stay_until_they_are_pruned(database: Database, embedder: Embedder, docs: Path, collection: str):
    ingest(database, embedder, [docs], collection=collection)
    (docs / "returns.md").unlink()
    assert ingest(database, embedder, [docs], collection=collection).removed == ()
    assert ingest(database, embedder, [docs], collection=collection, prune=True).removed == ("returns.md",)
    assert whole(database, collection)


def test_one_bad_file_stops_no_other(database: Database, embedder: Embedder, docs: Path, collection: str):
    (docs / "a-broken.pdf").write_bytes(b"%PDF-1.4 broken")
    (docs / "binary.txt").write_bytes(bytes(range(256)) * 40)
    (docs / "empty.md").touch()
    (docs / "latin.txt").write_bytes(b"br\xfcck")
    with (docs / "huge.txt").open("wb") as huge:
        huge.truncate(2 * LARGEST)
    report = ingest(database, embedder, [docs], collection=collection)
    assert set(report.added) == {"returns.md", "deep/shipping.txt"}
    assert {skipped.path for skipped in report.skipped} == {"a-broken.pdf", "binary.txt", "empty.md", "latin.txt", "huge.txt"}


def test_a_document_whose_file_broke_stays_as_it_was(database: Database, embedder: Embedder, docs: Path, collection: str):
    ingest(database, embedder, [docs], collection=collection)
    (docs / "returns.md").write_bytes(b"\xff\xff")
    assert len(ingest(database, embedder, [docs], collection=collection, prune=True).skipped) == 1
    assert "thirty days" in document(database, "returns.md", collection=collection).text


def test_an_empty_folder_and_a_missing_path_are_one_clear_line(database: Database, embedder: Embedder, tmp_path: Path):
    for path, problem in [(tmp_path, "holds no file"), (tmp_path / "gone", "does not exist")]:
        with pytest.raises(NothingToIngest, match=problem) as raised:
            ingest(database, embedder, [path], collection="never made")
        assert "\n" not in str(raised.value)


def test_a_form_that_is_not_read_is_reported(database: Database, embedder: Embedder, docs: Path, collection: str):
    (docs / "sheet.xlsx").write_bytes(b"PK")
    report = ingest(database, embedder, [docs / "sheet.xlsx", docs / "returns.md"], collection=collection)
    assert report.added == ("returns.md",)
    assert report.skipped[0].reason.startswith("Only .docx")


def test_the_same_file_given_twice_is_taken_once(database: Database, embedder: Embedder, docs: Path, collection: str):
    twice = [docs / "returns.md", docs, docs / "returns.md"]
    assert ingest(database, embedder, twice, collection=collection).added == ("returns.md", "deep/shipping.txt")


def test_two_files_of_one_name_are_never_mixed_up(database: Database, embedder: Embedder, docs: Path, collection: str):
    (docs / "deep" / "returns.md").write_text("Other returns.")
    report = ingest(database, embedder, [docs / "returns.md", docs / "deep"], collection=collection)
    assert set(report.added) == {"returns.md", "shipping.txt"}
    assert "named returns.md too" in report.skipped[0].reason


def test_links_that_loop_and_hidden_files_are_left_alone(database: Database, embedder: Embedder, docs: Path, collection: str):
    (docs / "deep" / "loop").symlink_to(docs)
    (docs / "gone.md").symlink_to(docs / "nowhere.md")
    (docs / ".git").mkdir()
    (docs / ".git" / "secret.md").write_text("Hidden.")
    (docs / ".hidden.md").write_text("Hidden.")
    assert ingest(database, embedder, [docs], collection=collection).added == ("returns.md", "deep/shipping.txt")


def test_progress_counts_to_the_end(database: Database, embedder: Embedder, docs: Path, collection: str):
    seen: list[tuple[int, int, str]] = []
    ingest(database, embedder, [docs], collection=collection, progress=lambda *step: seen.append(step))
    assert seen == [(1, 2, "returns.md"), (2, 2, "deep/shipping.txt")]


def test_another_embedder_is_refused(database: Database, embedder: Embedder, docs: Path, collection: str):
    ingest(database, embedder, [docs], collection=collection)
    with database.connection() as connection:
        connection.execute("UPDATE askfirst.collections SET embedder = 'other:384' WHERE name = %s", [collection])
    with pytest.raises(EmbedderMismatch, match="was embedded by other:384"):
        ingest(database, embedder, [docs], collection=collection)
    with pytest.raises(EmbedderMismatch):
        search(database, embedder, "anything", collection=collection)


def test_two_processes_may_ingest_one_folder_at_once(
    database: Database, embedder: Embedder, home: Path, docs: Path, collection: str, script
):
    for number in range(12):
        (docs / f"{number}.md").write_text(f"# Part {number}\n\n" + f"Sentence {number} of the part. " * 40)
    processes = [script(INGEST, home, docs, collection) for _ in range(2)]
    lasts = [process.communicate(timeout=60)[0].split("\n")[-2] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    added, changed, unchanged, skipped = (sum(counts) for counts in zip(*(map(int, last.split()) for last in lasts), strict=True))
    assert (added, changed, unchanged, skipped) == (14, 0, 14, 0)
    assert whole(database, collection)


def test_an_ingest_killed_in_the_middle_leaves_whole_documents_and_goes_on(
    database: Database, embedder: Embedder, home: Path, docs: Path, collection: str, script
):
    for number in range(8):
        (docs / f"{number}.md").write_text("\n\n".join(f"Sentence {each} of {number} says more." * 30 for each in range(4)))
    process = script(INGEST, home, docs, collection)
    for line in process.stdout:
        if line.startswith("3 "):
            break
    time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert whole(database, collection)
    report = ingest(database, embedder, [docs], collection=collection)
    assert len(report.unchanged) >= 3
    assert len(report.added) + len(report.unchanged) == 10
    assert whole(database, collection)


def test_a_document_is_replaced_in_one_transaction(
    database: Database, embedder: Embedder, docs: Path, collection: str, monkeypatch: pytest.MonkeyPatch
):
    """Interrupted after the old chunks were deleted and before the new ones are there: the old ones still are."""
    ingest(database, embedder, [docs], collection=collection)
    (docs / "returns.md").write_text("Customers have ninety days.")

    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(psycopg.Copy, "write_row", interrupt)
    with pytest.raises(KeyboardInterrupt):
        ingest(database, embedder, [docs], collection=collection)
    assert "thirty days" in document(database, "returns.md", collection=collection).text
    assert whole(database, collection)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_reported(database: Database, embedder: Embedder, docs: Path, collection: str):
    (docs / "returns.md").chmod(0)
    assert "cannot be opened" in ingest(database, embedder, [docs], collection=collection).skipped[0].reason
