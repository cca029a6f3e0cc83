"""The page, run by Streamlit's own test harness on the real assistant: ask, open a source, approve, reject."""

import re
from html import unescape

import pytest
from streamlit.testing.v1 import AppTest

from askfirst.agent.assistant import Assistant
from askfirst.errors import DatabaseDown
from askfirst.ui import page

PATIENCE = 60  # seconds for one run of the page


def script() -> None:
    """The page as Streamlit runs it."""
    from askfirst.ui.page import main

    main()


@pytest.fixture
def shown(assistant: Assistant, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(page, "open_assistant", lambda: assistant)
    return AppTest.from_function(script, default_timeout=PATIENCE).run()


def asked(shown: AppTest, question: str) -> AppTest:
    return shown.chat_input[0].set_value(question).run()


def said(shown: AppTest) -> str:
    """All text on the page."""
    assert not shown.exception
    kinds = (shown.markdown, shown.caption, shown.code, shown.subheader, shown.error)
    return "\n".join(each.value for kind in kinds for each in kind)


def card(shown: AppTest, action: str) -> str:
    """The key of a button on the newest card in the conversation."""
    return [str(button.key) for button in shown.button if str(button.key).startswith(f"{action}-turn")][-1]


def status(assistant: Assistant, order: str) -> str:
    with assistant.database.connection() as connection:
        return connection.execute("SELECT status FROM shop.orders WHERE order_id = %s", [order]).fetchone()[0]


def test_an_answer_comes_with_its_sources_and_its_making(shown: AppTest):
    asked(shown, "Which reasons for cancelling an order are accepted?")
    assert "ordered by mistake" in said(shown)
    labels = [each.label for each in shown.main.expander]
    assert labels[0].startswith("[1] cancelling-an-order.md")
    assert "answered" in labels[-1]


def test_a_source_shows_its_quote_marked_in_its_document(assistant: Assistant):
    text = assistant.document("cancelling-an-order.md").text
    start = text.index("ordered by mistake")
    passage = page.passage(text, start, start + 18)
    assert "<mark>ordered by mistake</mark>" in passage
    assert unescape(re.sub(r"<.*?>|… | …", "", passage)) in text


def test_text_is_text_and_not_html_nor_formula_nor_picture():
    assert "<mark>&lt;b&gt;</mark>" in page.passage("a <b> c", 2, 5)
    assert page.harmless("costs $5 or $6 ![x](http://x)") == "costs \\$5 or \\$6 !\\[x](http://x)"
    assert "<script>" not in page.change("order\n  note: a -> <script>")


def test_an_approval_on_a_card_is_carried_out_and_says_who_decided(shown: AppTest, assistant: Assistant, pending: str):
    asked(shown, f"Please cancel order {pending}, it was ordered by mistake.")
    assert status(assistant, pending) == "pending"
    shown.text_input(key="who").set_value("maria").run()
    shown.button(key=card(shown, "approve")).click().run()
    assert status(assistant, pending) == "cancelled"
    assert "executed by maria" in said(shown)


def test_a_rejection_needs_a_reason_and_writes_nothing(shown: AppTest, assistant: Assistant, pending: str):
    asked(shown, f"Please cancel order {pending}, it was ordered by mistake.")
    key = card(shown, "reject")
    assert shown.button(key=key).disabled
    shown.text_input(key=key.replace("reject", "why")).set_value("they called again").run()
    shown.button(key=key).click().run()
    assert status(assistant, pending) == "pending"
    assert "rejected by local: they called again" in said(shown)


def test_the_inbox_shows_proposals_made_elsewhere(shown: AppTest, assistant: Assistant, pending: str):
    proposal = assistant.propose("cancel_order", {"order_id": pending, "reason": "no longer needed"}, by="ben")
    shown.run()
    assert shown.sidebar.expander[0].label.startswith(f"Cancel order {pending} (no longer needed)")
    assert "Asked by ben. You decide as **local**" in said(shown)
    shown.button(key=f"approve-inbox-{proposal.id}").click().run()
    assert status(assistant, pending) == "cancelled"
    assert "Waiting for a person: 0" in said(shown)


def test_what_another_decided_first_is_told(shown: AppTest, assistant: Assistant, pending: str):
    proposal = assistant.propose("cancel_order", {"order_id": pending, "reason": "no longer needed"}, by="ben")
    shown.run()
    assistant.reject(proposal.id, by="ann", why="not yet")
    shown.button(key=f"approve-inbox-{proposal.id}").click().run()
    assert "already rejected (by ann)" in said(shown)
    assert status(assistant, pending) == "pending"


def test_a_new_conversation_is_empty_and_another_thread(shown: AppTest):
    asked(shown, "What is 12 * 12?")
    before = shown.session_state.thread
    next(button for button in shown.button if button.label == "New conversation").click().run()
    assert shown.session_state.turns == []
    assert shown.session_state.thread != before


def test_a_database_that_is_down_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch):
    def fail():
        raise DatabaseDown("it sleeps")

    monkeypatch.setattr(page, "open_assistant", fail)
    shown = AppTest.from_function(script, default_timeout=PATIENCE).run()
    assert [each.value for each in shown.error] == ["The database does not answer: it sleeps. `askfirst doctor` tells more."]
