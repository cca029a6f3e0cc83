"""What was decided on the real ledger comes back as lines to learn from."""

from askfirst.agent.assistant import Assistant
from askfirst.agent.history import history


def test_decisions_and_answers_are_told_as_they_were_made(assistant: Assistant, pending: str) -> None:
    asked = f"Please cancel order {pending}, it was ordered by mistake."
    rejected, edited = (assistant.ask(asked).proposals[0] for _ in range(2))
    assistant.reject(rejected.id, by="maria", why="not yet")
    assistant.approve(edited.id, by="maria", edits={"reason": "no longer needed"})
    answer = assistant.ask("Which reasons for cancelling an order are accepted?")
    waiting = assistant.ask(f"Please cancel order {other(assistant, pending)}, it was ordered by mistake.").proposals[0]

    lines = list(history(assistant.database, assistant.registry))
    told = {line["id"]: line for line in lines if line["kind"] == "proposal"}
    assert told[rejected.id]["state"] == "rejected"
    assert told[rejected.id]["why"] == "not yet"
    assert told[edited.id]["question"] == asked
    assert told[edited.id]["proposed"]["reason"] == "ordered by mistake"
    assert told[edited.id]["arguments"]["reason"] == "no longer needed"
    assert "reason" in told[edited.id]["parameters"]["properties"]
    assert waiting.id not in told, "nobody has decided it"
    [said] = [line for line in lines if line["kind"] == "answer" and line["question"] == answer.question][:1]
    assert said["text"] == answer.text
    assert said["quotes"] == list(dict.fromkeys(citation.quote for citation in answer.citations))
    assert said["rating"] is None
    assistant.reject(waiting.id, by="maria", why="only a test")


def test_a_rejection_names_what_its_thread_did_instead(assistant: Assistant, pending: str) -> None:
    first = assistant.ask(f"Please cancel order {pending}, it was ordered by mistake.", thread="second-thoughts").proposals[0]
    assistant.reject(first.id, by="maria", why="another reason")
    second = assistant.ask(f"Please cancel order {pending}, it is no longer needed.", thread="second-thoughts").proposals[0]
    assistant.approve(second.id, by="maria")
    told = {line["id"]: line for line in history(assistant.database, assistant.registry) if line["kind"] == "proposal"}
    assert told[first.id]["instead"] == {"tool": second.tool, "arguments": second.arguments}
    assert told[second.id]["instead"] is None


def test_what_a_tool_that_is_gone_did_is_left_out(assistant: Assistant) -> None:
    from askfirst.tools.registry import Registry

    assert not [line for line in history(assistant.database, Registry([])) if line["kind"] == "proposal"]


def other(assistant: Assistant, order: str) -> str:
    with assistant.database.connection() as connection:
        query = "SELECT max(order_id) FROM shop.orders WHERE status = 'pending' AND order_id <> %s"
        row = connection.execute(query, (order,)).fetchone()
    assert row
    return row[0]
