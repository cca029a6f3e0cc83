"""Each form of file is read, and each that cannot be read is refused in one sentence."""

import io
from pathlib import Path

import docx
import pypdf
import pytest

from askfirst.retrieval.readers import LARGEST, Unreadable, bytes_of, read


def text_of(name: str, content: bytes | str) -> str:
    return read(Path(name), content.encode() if isinstance(content, str) else content).text


def refusal(name: str, content: bytes) -> str:
    with pytest.raises(Unreadable) as raised:
        read(Path(name), content)
    assert raised.value.reason.endswith(".")
    return raised.value.reason


def pdf(text: str = "", *, password: str = "") -> bytes:
    """A PDF of one page that says `text`, drawn by hand: pypdf writes no text."""
    stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(_raw_pdf(stream)))
    if password:
        writer.encrypt(password)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def _raw_pdf(stream: bytes) -> bytes:
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    body, offsets = b"%PDF-1.4\n", []
    for number, each in enumerate(objects, start=1):
        offsets.append(len(body))
        body += b"%d 0 obj%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % len(body)
    return body + b"xref\n0 6\n0000000000 65535 f \n" + table + trailer


def word_document() -> bytes:
    document = docx.Document()
    document.add_heading("Returns", level=1)
    document.add_paragraph("Thirty days.")
    document.add_paragraph("Unopened", style="List Bullet")
    table = document.add_table(rows=1, cols=2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "Fee", "None"
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def test_plain_text_keeps_its_words():
    assert text_of("a.txt", "One.\r\nTwo.\n") == "One.\nTwo."


def test_a_byte_order_mark_is_not_text():
    assert text_of("a.txt", b"\xef\xbb\xbfOne.") == "One."
    assert text_of("a.txt", "One.".encode("utf-16")) == "One."


def test_front_matter_is_left_out_and_its_title_kept():
    found = read(Path("a.md"), b"---\ntitle: Returns\nauthor: x\n---\nThirty days.")
    assert (found.title, found.text) == ("Returns", "# Returns\n\nThirty days.")


def test_the_first_heading_is_the_title_else_the_files_name():
    assert read(Path("a.md"), b"intro\n\n# Returns\n\nThirty days.").title == "Returns"
    assert read(Path("notes.txt"), b"Thirty days.").title == "notes"


def test_a_page_gives_its_article_without_its_menu():
    page = "<html><head><title>Returns</title></head><body><nav><a href='/'>Home</a></nav><article><h2>Fees</h2>" + (
        "<p>Customers have thirty days to send an item back, counted from the day of delivery to their door.</p>" * 4
    )
    text = text_of("a.html", page + "</article></body></html>")
    assert "thirty days" in text
    assert "Home" not in text


def test_a_pdf_gives_its_text():
    assert "Thirty days" in text_of("a.pdf", pdf("Thirty days"))


def test_a_word_document_keeps_headings_lists_and_tables():
    assert text_of("a.docx", word_document()) == "# Returns\n\nThirty days.\n\n- Unopened\n\n| Fee | None |"


def test_text_never_holds_what_the_database_cannot_store():
    assert text_of("a.txt", "One." * 50 + "\x00\x01") == "One." * 50


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html", "a.pdf", "a.docx"])
@pytest.mark.parametrize("content", [b"", b" \n\t"])
def test_an_empty_file_is_refused(name: str, content: bytes):
    assert "empty" in refusal(name, content)


def test_a_binary_named_txt_is_refused():
    assert "binary" in refusal("a.txt", bytes(range(256)) * 40)
    assert "binary" in refusal("a.txt", b"\x7fELF\x01\x01\x00\x00" * 40)


def test_invalid_utf8_is_refused_with_its_place():
    assert refusal("a.txt", b"fine\nfine\nbr\xfcck") == (
        "The text is not UTF-8: byte 12, in line 3, is wrong. Convert it, for example with iconv."
    )


def test_an_encrypted_pdf_is_refused():
    assert "encrypted" in refusal("a.pdf", pdf("secret", password="key"))


@pytest.mark.parametrize("content", [b"%PDF-1.4 broken", pdf("Thirty days")[:300], b"no pdf at all"])
def test_a_broken_pdf_is_refused(content: bytes):
    assert "broken" in refusal("a.pdf", content) or "no text" in refusal("a.pdf", content)


def test_a_scanned_pdf_is_refused_with_the_way_out():
    assert "OCR" in refusal("a.pdf", pdf(""))


def test_a_broken_or_encrypted_word_document_is_refused():
    assert "broken" in refusal("a.docx", b"PK\x03\x04 not really")
    assert "encrypted" in refusal("a.docx", b"\xd0\xcf\x11\xe0" + b"\x00" * 100)


def test_a_page_without_text_is_refused():
    assert "no readable text" in refusal("a.html", b"<html><body><script>x()</script></body></html>")


def test_a_file_of_200_mb_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    large = tmp_path / "large.txt"
    with large.open("wb") as file:
        file.truncate(2 * LARGEST)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail("it was read"))
    with pytest.raises(Unreadable, match="200 MB; the limit is 100 MB"):
        bytes_of(large)


def test_a_file_that_vanished_is_refused(tmp_path: Path):
    with pytest.raises(Unreadable, match="cannot be opened"):
        bytes_of(tmp_path / "gone.txt")
