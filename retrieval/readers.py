"""A file's title and text, or one sentence on why it cannot be read. It knows forms of files, not what becomes of the text.

Structure survives as Markdown (headings, lists, tables), which is what chunk.py reads.
"""

import io
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import RunError

LARGEST = 100_000_000  # bytes
CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")  # all but tab, newlines and the form feed between pages
OLE = b"\xd0\xcf\x11\xe0"  # the container of old .doc files, and of encrypted .docx files
MOST_CONTROL = 0.01  # a share of control characters above this is no text


class Unreadable(RunError):
    """One file cannot be read; `reason` is a sentence without the file's name. The others can still be."""

    def __init__(self, path: Path, reason: str):
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}")


@dataclass(frozen=True)
class FileText:
    """What a file says. `title` is never empty; `text` holds no NUL, which PostgreSQL cannot store."""

    title: str
    text: str


def read(path: Path, content: bytes) -> FileText:
    """The text in `content`, read by the form that the name of `path` promises. Raises `Unreadable`."""
    if not content.strip():
        raise Unreadable(path, "The file is empty.")
    text = _parsed(path, content).encode("utf-8", "replace").decode()  # a PDF can hold lone surrogates
    if len(CONTROL.findall(text[:100_000])) > MOST_CONTROL * len(text[:100_000]):
        raise Unreadable(path, "The file is binary, not text.")
    text = CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).strip()
    if not text:
        raise Unreadable(path, "The file holds no text.")
    return FileText(_title(text) or path.stem, text)


def bytes_of(path: Path) -> bytes:
    """The file's bytes; one too large is refused before it is read. Raises `Unreadable`."""
    try:
        if (size := path.stat().st_size) > LARGEST:
            raise Unreadable(path, f"The file has {size / 1e6:,.0f} MB; the limit is {LARGEST / 1e6:,.0f} MB. Split it.")
        return path.read_bytes()
    except OSError as error:
        raise Unreadable(path, f"The file cannot be opened ({error.strerror}).") from None


def _parsed(path: Path, content: bytes) -> str:
    try:
        return FORMS[path.suffix.lower()](path, content)
    except Unreadable:
        raise
    except Exception as error:  # a parser meets a damaged file with anything, from KeyError to RecursionError
        raise Unreadable(path, f"The file is broken ({type(error).__name__}). Repair it or save it again.") from error


def _title(text: str) -> str:
    """The first heading near the top."""
    found = re.search(r"^#{1,6}\s+(.+)$|^(\S.*)\n=+$", text[:2_000], re.MULTILINE)
    return (found[1] or found[2]).strip("#*_` ") if found else ""


def _plain(path: Path, content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if b"\x00" in content:
            raise Unreadable(path, "The file is binary, not text.") from None
        line = content.count(b"\n", 0, error.start) + 1
        reason = f"The text is not UTF-8: byte {error.start:,}, in line {line:,}, is wrong. Convert it, for example with iconv."
        raise Unreadable(path, reason) from None


def _markdown(path: Path, content: bytes) -> str:
    """Without front matter, whose title becomes a heading when the text has none."""
    text = _plain(path, content).replace("\r\n", "\n")
    front = re.match(r"---\n(.*?)\n(?:---|\.\.\.)(?:\n|$)", text, re.DOTALL)
    if not front:
        return text
    body = text[front.end() :]
    title = re.search(r"^title:[ \t]*[\"']?(.+?)[\"']?[ \t]*$", front[1], re.MULTILINE)
    return f"# {title[1]}\n\n{body}" if title and not re.search(r"^# ", body, re.MULTILINE) else body


def _html(path: Path, content: bytes) -> str:
    import trafilatura

    text = trafilatura.extract(content, output_format="markdown", include_tables=True, include_comments=False, favor_recall=True)
    if not text:
        raise Unreadable(path, "The page holds no readable text.")
    title = getattr(trafilatura.extract_metadata(trafilatura.load_html(content)), "title", None)
    return f"# {title}\n\n{text}" if title and not text.startswith("# ") else text


def _pdf(path: Path, content: bytes) -> str:
    import pypdf

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it warns of every flaw that it mends by itself
    reader = pypdf.PdfReader(io.BytesIO(content))
    if reader.is_encrypted and not reader.decrypt(""):
        raise Unreadable(path, "The PDF is encrypted. Save a copy without a password.")
    text = "\n\n".join(page.extract_text() for page in reader.pages)
    if not text.strip():
        raise Unreadable(path, "The PDF holds no text, perhaps a scan. Run text recognition (OCR) on it first.")
    title = (reader.metadata or {}).get("/Title")
    return f"# {title}\n\n{text}" if isinstance(title, str) and title.strip() else text


def _docx(path: Path, content: bytes) -> str:
    import docx

    if content.startswith(OLE):
        raise Unreadable(path, "The document is encrypted or an old .doc. Save it as .docx without a password.")
    return "\n\n".join(_docx_blocks(docx.Document(io.BytesIO(content))))


def _docx_blocks(document: Any) -> Iterator[str]:
    for part in document.iter_inner_content():
        if hasattr(part, "rows"):
            yield "\n".join("| " + " | ".join(" ".join(cell.text.split()) for cell in row.cells) + " |" for row in part.rows)
            continue
        style = part.style.name if part.style is not None else ""
        if part.text.strip():
            yield _docx_mark(style) + part.text.strip()


def _docx_mark(style: str) -> str:
    """Markdown's mark for a paragraph style: `Heading 2` is `## `."""
    if style == "Title":
        return "# "
    if found := re.fullmatch(r"Heading ([1-6])", style):
        return "#" * int(found[1]) + " "
    return "- " if style.startswith("List") else ""


FORMS: dict[str, Callable[[Path, bytes], str]] = {
    ".md": _markdown, ".markdown": _markdown, ".txt": _plain, ".text": _plain,
    ".html": _html, ".htm": _html, ".pdf": _pdf, ".docx": _docx,
}  # fmt: skip
