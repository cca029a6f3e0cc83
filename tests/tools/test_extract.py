"""Extraction returns a validated model, and names each string that the text does not hold."""

from typing import Any

import pytest
from pydantic import BaseModel, Field

from askfirst.errors import ModelReplyInvalid
from askfirst.tools.extract import extract

TEXT = "Invoice 4711 by  Miller & Sons: two desk\nlamps, one chair. Total 120.50, due 2026-07-04."


class Line(BaseModel):
    item: str
    quantity: int


class Invoice(BaseModel):
    seller: str = Field(description="who wrote the invoice")
    total: float
    lines: list[Line]
    note: str | None = None


def reply(**changes: Any) -> dict[str, Any]:
    return {"seller": "Miller & Sons", "total": 120.5, "lines": [{"item": "desk lamps", "quantity": 2}]} | changes


def test_a_reply_becomes_the_users_model_and_the_prompt_names_the_fields():
    asked: list[tuple[str, dict[str, Any]]] = []
    found = extract(TEXT, Invoice, complete=lambda prompt, schema: asked.append((prompt, schema)) or reply())
    assert found.value == Invoice(**reply())
    assert found.unsupported == ()
    ((prompt, schema),) = asked
    assert "- seller: who wrote the invoice\n- total: total\n- lines: lines\n- note: note (may be missing)" in prompt
    assert TEXT in prompt
    assert schema == Invoice.model_json_schema()


def test_strings_that_do_not_stand_in_the_text_are_named():
    answer = reply(seller="Smith", lines=[{"item": "desk lamps", "quantity": 2}, {"item": "table", "quantity": 1}])
    assert extract(TEXT, Invoice, complete=lambda prompt, schema: answer).unsupported == ("seller", "lines.1.item")


def test_a_reply_of_another_form_is_refused():
    with pytest.raises(ModelReplyInvalid, match=r"a Invoice \(total: Input should be a valid number"):
        extract(TEXT, Invoice, complete=lambda prompt, schema: reply(total="much"))
