"""A batch that is killed again and again ends with each question answered once."""

import json
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from askfirst.agent.assistant import Assistant
from askfirst.agent.batch import questions_in
from askfirst.errors import LineInvalid

BATCH = """
import sys
from pathlib import Path
from askfirst.agent.assistant import Assistant
from askfirst.agent.batch import questions_in
from askfirst.agent.model import ScriptedModel
from askfirst.settings import Settings
settings = Settings.load(home=sys.argv[1], collection="shop")
with Assistant.open(settings=settings, model=ScriptedModel(card={"decisions": {}})) as assistant:
    print("open", flush=True)
    assistant.batch(list(questions_in(Path(sys.argv[2]))), Path(sys.argv[3]), concurrency=2)
"""


def started(assistant: Assistant, questions: Path, out: Path) -> subprocess.Popen[str]:
    """A process that works on the batch and has opened its assistant."""
    command = [sys.executable, "-c", BATCH, str(assistant.settings.home), str(questions), str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout
    assert process.stdout.readline() == "open\n"
    return process


def test_a_batch_killed_at_random_times_loses_nothing_and_answers_nothing_twice(assistant: Assistant, tmp_path: Path) -> None:
    questions, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    lines = [json.dumps({"id": number, "question": f"What is {number} * 11?"}) for number in range(40)]
    questions.write_text("\n".join(lines))
    for _ in range(3):
        with started(assistant, questions, out) as process:
            try:
                process.wait(timeout=random.uniform(0.3, 1.5))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
    with started(assistant, questions, out) as process:
        assert process.wait() == 0
    answered = [json.loads(line) for line in out.read_text().splitlines()]
    assert sorted(line["id"] for line in answered) == list(range(40))
    assert all(f"= {11 * line['id']}" in line["text"] for line in answered)
    with assistant.database.connection() as connection:
        counted = "SELECT count(*), count(DISTINCT question) FROM askfirst.runs WHERE question LIKE '%* 11?'"
        row = connection.execute(counted).fetchone()
    assert row == (40, 40)


@pytest.mark.parametrize("line", ["{", "[1]", '{"id": 1}', '{"question": "no id"}', '{"id": 1, "question": 2}'])
def test_a_line_that_is_no_question_is_named_by_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(f'{{"id": 1, "question": "right"}}\n\n{line}\n')
    with pytest.raises(LineInvalid, match="Line 3 of"):
        list(questions_in(path))
