"""What goes wrong for people, as they meet it at the command line: one clear line, the exit code, and nothing lost."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pypdf
import pytest

from askfirst.agent.assistant import Assistant
from askfirst.errors import DatabaseDown
from askfirst.settings import Settings
from askfirst.ui import cli

Run = Callable[..., tuple[int, str, str]]
NOWHERE = "127.0.0.1:9"


def encrypted_pdf() -> bytes:
    writer, out = pypdf.PdfWriter(), io.BytesIO()
    writer.add_blank_page(72, 72)
    writer.encrypt("secret")
    writer.write(out)
    return out.getvalue()


BAD_FILES = {
    "secret.pdf": (encrypted_pdf(), "encrypted"),
    "broken.pdf": (b"%PDF-1.7 and then nothing", "broken"),
    "empty.md": (b"", "empty"),
    "program.txt": (bytes(range(256)) * 64, "binary"),
    "latin.txt": ("Größe".encode("latin-1"), "not UTF-8"),
}


def one_line(said: str) -> str:
    """What was said, known to be one line that names the program."""
    assert said.startswith("askfirst: ")
    assert said.count("\n") == 1
    return said


@pytest.fixture
def alone(settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line that opens an assistant of its own."""
    monkeypatch.setenv("ASKFIRST_HOME", str(settings.home))

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            cli.main(list(words))
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return run


def test_an_empty_folder(run: Run, assistant: Assistant, tmp_path: Path):
    code, out, errors = run("ingest", str(tmp_path), "--collection", "never-made")
    assert (code, out) == (2, "")
    assert "holds no file" in one_line(errors)
    assert "never-made" not in {each.name for each in assistant.collections()}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_cannot_be_read(run: Run, tmp_path: Path, name: str):
    content, reason = BAD_FILES[name]
    (tmp_path / name).write_bytes(content)
    code, out, errors = run("ingest", str(tmp_path / name), "--collection", "bad")
    assert (code, errors) == (1, "")
    assert f"left out {name}: " in out
    assert reason in out


def test_a_file_of_200_mb(run: Run, tmp_path: Path):
    with (tmp_path / "huge.txt").open("wb") as huge:
        huge.truncate(200_000_000)
    code, out, _ = run("ingest", str(tmp_path), "--collection", "bad")
    assert code == 1
    assert "left out huge.txt: The file has 200 MB; the limit is 100 MB." in out


def test_bad_files_keep_no_good_one_from_being_read(run: Run, tmp_path: Path):
    for name, (content, _) in BAD_FILES.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "good.md").write_text("# Keys\n\nThe key hangs behind the door.\n")
    code, out, _ = run("ingest", str(tmp_path), "--collection", "mixed", "--json")
    report = json.loads(out)
    assert (code, report["added"]) == (0, ["good.md"])
    assert {each["path"] for each in report["skipped"]} == set(BAD_FILES)
    assert "good.md" in run("search", "Where is the key?", "--collection", "mixed")[1]


def test_a_file_that_broke_keeps_its_document_as_it_was(run: Run, tmp_path: Path):
    (tmp_path / "note.md").write_text("# Keys\n\nThe key hangs behind the door.\n")
    run("ingest", str(tmp_path), "--collection", "breaking")
    (tmp_path / "note.md").write_bytes(b"\xff\xff")
    assert run("ingest", str(tmp_path), "--collection", "breaking", "--prune")[0] == 1
    assert "behind the door" in run("search", "Where is the key?", "--collection", "breaking")[1]


def test_a_model_server_that_is_down(alone: Run, assistant: Assistant, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ASKFIRST_MODEL", f"http://{NOWHERE}/v1")
    code, out, errors = alone("ask", "What is the policy on returns?", "--collection", "shop")
    assert (code, out) == (1, "")
    assert f"The model server at http://{NOWHERE}/v1" in one_line(errors)
    assert "does not answer" in errors


def test_a_database_that_is_away(alone: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ASKFIRST_DATABASE_URL", f"postgresql://nobody@{NOWHERE}/none")
    code, out, errors = alone("ask", "What is the policy on returns?")
    assert (code, out) == (1, "")
    assert "The database does not answer" in one_line(errors)


def test_a_database_that_goes_away_in_a_batch(run: Run, assistant: Assistant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    questions, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    questions.write_text("".join(f'{{"id": "{id}", "question": "What is {id} + 1?"}}\n' for id in "123"))
    answered, ask = [], assistant.ask

    def ask_until_it_goes(question: str, **named: str):
        if answered:
            raise DatabaseDown("the server closed the connection")
        answered.append(question)
        return ask(question, **named)

    monkeypatch.setattr(assistant, "ask", ask_until_it_goes)
    assert run("batch", str(questions), "--out", str(out))[0] == 1
    monkeypatch.setattr(assistant, "ask", ask)
    code, report, _ = run("batch", str(questions), "--out", str(out), "--json")
    assert (code, json.loads(report)["before"], json.loads(report)["done"]) == (0, 1, 2)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert sorted(line["id"] for line in lines if "error" not in line) == ["1", "2", "3"]


@pytest.mark.parametrize("line", ["not json", '{"id": "b"', '"text"', '{"id": "b"}', '{"question": "What?"}', "\\ud800"])
def test_a_line_of_a_batch_that_is_no_question(run: Run, tmp_path: Path, line: str):
    questions, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    questions.write_text('{"id": "a", "question": "What is 2 + 2?"}\n')
    run("batch", str(questions), "--out", str(out))
    before = out.read_text()
    with questions.open("a") as more:
        more.write(line + "\n")
    code, said, errors = run("batch", str(questions), "--out", str(out))
    assert (code, said) == (2, "")
    assert f"Line 2 of {questions} cannot be used" in one_line(errors)
    assert out.read_text() == before


def test_a_batch_whose_output_is_another_file(run: Run, tmp_path: Path):
    questions, out = tmp_path / "in.jsonl", tmp_path / "notes.txt"
    questions.write_text('{"id": "a", "question": "What is 2 + 2?"}\n')
    out.write_text("my notes\n")
    code, said, errors = run("batch", str(questions), "--out", str(out))
    assert (code, said) == (2, "")
    assert f"Line 1 of {out} cannot be used" in one_line(errors)
    assert out.read_text() == "my notes\n"


def test_a_question_with_a_line_separator_of_unicode(run: Run, tmp_path: Path):
    questions, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    questions.write_text('{"id": "a", "question": "What is\u20282 + 2?"}\n')
    for answered in (1, 0):
        assert json.loads(run("batch", str(questions), "--out", str(out), "--json")[1])["done"] == answered


def test_a_batch_that_is_no_text(run: Run, tmp_path: Path):
    (tmp_path / "in.jsonl").write_bytes(b"\xff\xfe\x00binary")
    code, said, errors = run("batch", str(tmp_path / "in.jsonl"), "--out", str(tmp_path / "out.jsonl"))
    assert (code, said) == (2, "")
    one_line(errors)


def test_a_collection_that_is_unknown(run: Run):
    for words in (("ask", "What?"), ("search", "What?")):
        code, out, errors = run(*words, "--collection", "nope")
        assert (code, out) == (2, "")
        assert "No collection 'nope'. Known: " in one_line(errors)


def test_a_question_of_100_000_characters(run: Run):
    code, out, errors = run("ask", "why " * 25_000)
    assert (code, out) == (2, "")
    assert "100,000 characters, the limit is 8,000" in one_line(errors)
