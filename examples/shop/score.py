"""Scores the assistant on the shop's questions: `python -m askfirst.examples.shop.score [--questions FILE] [--wrong]`.

A question ends right when the status is the wanted one, the text holds every wanted fact, every quote stands word for word
in its document, and a wanted write is proposed with exactly the wanted values. Nothing is approved.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

from askfirst import Assistant
from askfirst.agent.proof import quotes_stand
from askfirst.agent.state import Answer
from askfirst.examples import shop

HERE = Path(__file__).parent


def main() -> None:
    """Prints one table: right of asked for each kind, and who decided how often."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--questions", type=Path, default=HERE / "questions.jsonl")
    parser.add_argument("--wrong", action="store_true", help="show the questions that ended wrong, and why")
    options = parser.parse_args()
    cases = [json.loads(line) for line in options.questions.read_text("utf-8").splitlines()]
    right, asked, deciders = Counter(), Counter(), Counter()
    with Assistant.open(collection="shop", tools=["askfirst.examples.shop"]) as assistant:
        with assistant.database.connection() as connection:
            shop.install(connection)
        assistant.ingest(HERE / "documents", collection="shop", prune=True)
        for case in cases:
            answer = assistant.ask(case["question"])
            fault = what_is_wrong(case, answer, assistant)
            asked[case["kind"]] += 1
            right[case["kind"]] += fault is None
            deciders.update(f"{decision}: {who}" for step in answer.steps for decision, who in step.decided_by.items())
            if fault and options.wrong:
                print(f"{case['id']} {case['question']}\n    {fault}\n    {answer.status} {list(answer.routes)} {answer.text!r}")
    for kind in asked:
        print(f"{kind:16} {right[kind]:3} of {asked[kind]:3}")
    print(f"{'all':16} {right.total():3} of {asked.total():3}")
    print("decided by  " + ", ".join(f"{name} {count}" for name, count in sorted(deciders.items())))


def what_is_wrong(case: dict[str, Any], answer: Answer, assistant: Assistant) -> str | None:
    """The first fault of an answer, in words; None when it is right."""
    wanted = case.get("status_any") or [case["status"]]
    if answer.status not in wanted:
        return f"status {answer.status} instead of {' or '.join(wanted)}"
    text = (answer.text or "").casefold()
    for alternatives in case["contains"]:
        if not any(each.casefold() in text for each in alternatives):
            return f"none of {alternatives} in the text"
    if any(each.casefold() in text for each in case.get("excludes") or ()):
        return "the text holds what it must not"
    if not quotes_stand(answer.citations, lambda name: assistant.document(name).text):
        return "a quote does not stand in its document"
    return _wrong_proposal(case, answer) if case.get("tool") else None


def _wrong_proposal(case: dict[str, Any], answer: Answer) -> str | None:
    """The first difference between what was wanted and what is proposed."""
    if not answer.proposals:
        return "nothing is proposed"
    proposal = answer.proposals[0]
    if proposal.tool != case["tool"]:
        return f"proposes {proposal.tool} instead of {case['tool']}"
    for name, wanted in case["arguments"].items():
        if not _same(wanted, proposal.arguments.get(name)):
            return f"{name} is {proposal.arguments.get(name)!r} instead of {wanted!r}"
    return None


def _same(wanted: Any, given: Any) -> bool:
    """Lists are compared as sets; of wanted options each value must be among the given ones; text without case."""
    if isinstance(wanted, dict):
        return isinstance(given, dict | list | str) and all(
            str(value).casefold() in json.dumps(given).casefold() for value in wanted.values()
        )
    if isinstance(wanted, list):
        return isinstance(given, list) and {str(v).casefold() for v in wanted} == {str(v).casefold() for v in given}
    return str(wanted).casefold() == str(given).casefold()


if __name__ == "__main__":
    main()
