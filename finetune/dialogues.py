"""Reads dialogues and tool calls as cases: which tool, and what stands in the user's words for each of its arguments.

Values are taken word for word and only from the current turn; whatever was said before is code's work to remember.
"""

import json
import random
import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import zstandard

from .cases import ANY_TEXT, Case, Tool, plain, spans

Found = TypeVar("Found")
SMALL_TALK = set(
    "greeting goodbye thank_you are_you_a_bot what_is_your_name how_old_are_you who_made_you what_can_i_ask_you tell_joke "
    "do_you_have_pets what_are_your_hobbies where_are_you_from who_do_you_work_for meaning_of_life yes no maybe".split()
)
ABOUT = ("Serves requests about {}", "Handles {}", "For {}", "Does what is needed for {}", "Questions and requests: {}")
FACTS = {"definition", "fun_fact", "oos", "carry_on", "travel_alert", "vaccines", "international_visa"}


def rows(root: Path, name: str) -> Iterator[dict]:
    """The JSON lines of one compressed file of the training folder."""
    for line in text_lines(root, f"{name}.jsonl"):
        yield json.loads(line)


def text_lines(root: Path, name: str) -> Iterator[str]:
    """The lines of one compressed file of the training folder."""
    with zstandard.open(root / "train" / f"{name}.zst", "rt", encoding="utf-8") as lines:
        yield from lines


def as_far_as_there(found: Iterable[Found], missing: list[str]) -> Iterator[Found]:
    """What is read until a file is not there; its name goes to `missing`, once."""
    try:
        yield from found
    except FileNotFoundError as error:
        if (name := Path(error.filename).name) not in missing:
            missing.append(name)


def schema_guided(root: Path) -> Iterator[Case]:
    """Schema-Guided Dialogue, half of it under the paraphrased schemas; held out are services that training never names."""
    train = services(root, "sgd_train")
    for part in ("sgd_train", "sgd_dev"):
        views = services(root, part)
        for dialogue in rows(root, part):
            rng = random.Random(dialogue["dialogue_id"] + part)
            names = views[rng.randrange(2)]
            for turn in dialogue["turns"][::2]:
                for case in _schema_guided_turn(turn, names, rng):
                    if part == "sgd_train":
                        yield case
                    elif turn["frames"][0]["service"] not in train[0]:
                        yield replace(case, held=True)


def seal_tools(root: Path) -> Iterator[Case]:
    """Queries with gold calls; the tools beside the right one are drawn from the whole set, some from its own field."""
    tools = {row["api_name"]: row for row in rows(root, "sealtools_tool")}
    for part in ("sealtools_dev", "sealtools_test_in_domain"):
        for row in rows(root, part):
            rng = random.Random(row["id"])
            question, held = row["query"], part == "sealtools_test_in_domain"
            yield Case("route", "sealtools", question, "tools", held=held)
            calls = [call for call in row["calling"] if call["api"] in tools]
            if len(calls) == 1:
                yield replace(_seal_choice(question, tools, calls[0]["api"], rng), held=held)
            for call in calls:
                yield from (replace(case, held=held) for case in _seal_arguments(question, call, tools[call["api"]]))


def api_bank(root: Path) -> Iterator[Case]:
    """The last call of each API-Bank row, asked from the user's first words."""
    call = re.compile(r"API-Request: \[(\w+)\((.*)\)\]", re.S)
    for row in rows(root, "apibank_lv3-train"):
        user, gold = re.search(r"User: (.*?)TIME:", row["input"]), call.match(row["output"])
        if not user or not gold or gold[1] == "ToolSearcher":
            continue
        for name, value in re.findall(r"(\w+)='([^']*)'", gold[2]):
            about = re.search(rf"'{name}': {{'type': '\w+', 'description': '([^']*)'", row["input"])
            if about and value in spans(user[1]):
                yield Case("arguments", "apibank", user[1], value, tool=gold[1], argument=name, description=about[1])


def snips(root: Path) -> Iterator[Case]:
    """Commands with marked slots; an argument asked for but not marked is none."""
    known: dict[str, set[str]] = {}
    for number, row in enumerate(rows(root, "snips_train")):
        rng = random.Random(number)
        question = "".join(piece["text"] for piece in row["data"]).strip()
        slots = {piece["entity"]: piece["text"].strip() for piece in row["data"] if "entity" in piece}
        yield Case("route", "snips", question, "tools")
        yield from _slots("snips", question, row["intent"], slots, known, rng)


def home_commands(root: Path) -> Iterator[Case]:
    """HWU64: its slots are trained on, its routes wholly held out, so that one whole source is foreign to routing."""
    known: dict[str, set[str]] = {}
    for number, row in enumerate(rows(root, "hwu64_train")):
        rng = random.Random(number)
        slots = {entity["entity"]: entity["value"] for entity in row["entities"]}
        topic = row["intent"].split("_")[0]
        if topic in ("general", "qa", "cooking", "news", "social"):
            if row["intent"] in ("general_praise", "general_joke", "general_affirm", "general_negate", "general_dontcare"):
                yield Case("route", "hwu64", row["text"], "direct", held=True)
            continue
        yield Case("route", "hwu64", row["text"], "tools", held=True)
        yield from _slots("hwu64", row["text"], row["intent"], slots, known, rng)


def intents(root: Path) -> Iterator[Case]:
    """CLINC150: small talk is direct, what needs knowledge is left out, the rest needs a tool, named as its intent is."""
    requests = [row for row in rows(root, "clinc150") if row["intent"] not in FACTS | SMALL_TALK]
    names = sorted({row["intent"] for row in requests})
    for number, row in enumerate(requests):
        yield Case("route", "clinc150", row["text"], "tools")
        yield _named_choice("clinc150", row["text"], row["intent"], names, random.Random(number))
    for row in rows(root, "clinc150"):
        if row["intent"] in SMALL_TALK:
            yield Case("route", "clinc150", row["text"], "direct")


def bank_requests(root: Path) -> Iterator[Case]:
    """banking77: what people ask their bank; the intents are near one another, which makes the choice hard."""
    listed = list(rows(root, "banking77_train"))
    names = sorted({row["category"] for row in listed})
    for number, row in enumerate(listed):
        yield _named_choice("banking77", row["text"], row["category"], names, random.Random(number))


def customer_service(root: Path) -> Iterator[Case]:
    """MultiDoGO turns with marked words, and its greetings and thanks."""
    known: dict[str, set[str]] = {}
    for domain, table in _tables(root / "train" / "multidogo.tar.zst"):
        for number, line in enumerate(table.split("\n")[1:]):
            if line.count("\t") < 5:  # the second half of an utterance with a line break in it
                continue
            *_, text, labels, intent = line.split("\t")
            if intent in ("openinggreeting", "closinggreeting", "thankyou"):
                yield Case("route", "multidogo", text, "direct")
            rng = random.Random(f"{domain}{number}")
            yield from _slots("multidogo", text, f"{domain} service", _labelled(text, labels), known, rng)


def arithmetic_stories(root: Path) -> Iterator[Case]:
    """Word problems: a calculation is a tool's work."""
    for row in rows(root, "gsm8k_train"):
        if len(row["question"]) < 160:
            yield Case("route", "gsm8k", row["question"], "tools")


def _tables(path: Path) -> Iterator[tuple[str, str]]:
    """Domain and content of each training table of the archive."""
    with zstandard.open(path, "rb") as stream, tarfile.open(fileobj=BytesIO(stream.read())) as archive:
        for member in archive.getmembers():
            if member.name.endswith("train.tsv") and (table := archive.extractfile(member)):
                yield member.name.split("/")[1], table.read().decode()


def services(root: Path, part: str) -> tuple[dict, dict]:
    """Two views by the service's own name: its schema, and its paraphrase with slots and intents renamed in order."""
    own = list(rows(root, f"{part}_schema"))
    paraphrased = rows(root, f"{part}_schema_sgdx_v5")
    as_own = {service["service_name"]: _renamed(service, service) for service in own}
    return as_own, {one["service_name"]: _renamed(one, other) for one, other in zip(own, paraphrased, strict=True)}


def _renamed(own: dict, shown: dict) -> dict:
    """Intents and slots as shown, by their own names; an intent's `slots` are own names too."""
    intents = {
        a["name"]: b | {"slots": [*a["required_slots"], *a["optional_slots"]]}
        for a, b in zip(own["intents"], shown["intents"], strict=True)
    }
    return {"intents": intents, "slots": {a["name"]: b for a, b in zip(own["slots"], shown["slots"], strict=True)}}


def _schema_guided_turn(turn: dict, services: dict, rng: random.Random) -> Iterator[Case]:
    question, frame = turn["utterance"], turn["frames"][0]
    acts = {action["act"] for action in frame["actions"]}
    if acts <= {"GOODBYE", "THANK_YOU", "NEGATE", "AFFIRM"}:
        yield Case("route", "sgd", question, "direct")
    if len(turn["frames"]) > 1 or frame["state"]["active_intent"] == "NONE":
        return
    intent = services[frame["service"]]["intents"][frame["state"]["active_intent"]]
    if "INFORM_INTENT" in acts:
        yield Case("route", "sgd", question, "tools")
        yield _intent_choice(question, frame["service"], intent, services, rng)
    yield from _turn_arguments(question, frame, intent, services[frame["service"]]["slots"], rng)


def _intent_choice(question: str, service: str, intent: dict, services: dict, rng: random.Random) -> Case:
    """Two to five other tools, those of the same service first; in one of ten cases the right one is missing."""
    same = [other for other in services[service]["intents"].values() if other is not intent]
    domain = service.split("_")[0]
    foreign = [one for name, each in services.items() if name.split("_")[0] != domain for one in each["intents"].values()]
    others = same + rng.sample(foreign, max(0, rng.randint(2, 5) - len(same)))
    missing = rng.random() < 0.1
    listed = rng.sample(foreign, len(others)) if missing else [intent, *others]
    tools = [Tool(plain(one["name"]), one["description"]) for one in listed]
    rng.shuffle(tools)
    return Case("tool", "sgd", question, "none" if missing else plain(intent["name"]), tools=tuple(tools))


def _turn_arguments(question: str, frame: dict, intent: dict, slots: dict, rng: random.Random) -> Iterator[Case]:
    said = {slot["slot"]: question[slot["start"] : slot["exclusive_end"]] for slot in frame["slots"]}
    for action in frame["actions"]:
        if action["act"] == "INFORM" and action["slot"] not in said:
            said[action["slot"]] = action["values"][0] if action["values"] else ""
    absent = [name for name in intent["slots"] if name not in said]
    known = set(spans(question))
    asked = [name for name in said if name in intent["slots"] and said[name] in known]
    for name in asked + _denied(absent, asked, rng):
        slot = slots[name]
        schema = {"type": "string", "enum": slot["possible_values"]} if slot["is_categorical"] else ANY_TEXT
        about = {"tool": plain(intent["name"]), "argument": slot["name"], "description": slot["description"], "schema": schema}
        yield Case("arguments", "sgd", question, said.get(name), **about)


def _named_choice(source: str, question: str, intent: str, names: list[str], rng: random.Random) -> Case:
    """The intent as a tool among others. Intents have no descriptions, so that the name, said otherwise, must do."""
    listed = [name for name in rng.sample(names, rng.randint(3, 6)) if name != intent]
    missing = rng.random() < 0.15
    tools = [Tool(name, rng.choice(ABOUT).format(plain(name))) for name in listed + [intent] * (not missing)]
    rng.shuffle(tools)
    return Case("tool", source, question, "none" if missing else intent, tools=tuple(tools))


def _seal_choice(question: str, tools: dict, right: str, rng: random.Random) -> Case:
    near = [name for name, tool in tools.items() if tool["field"] == tools[right]["field"] and name != right]
    others = rng.sample(near, min(len(near), rng.randint(1, 2))) + rng.sample(list(tools), rng.randint(2, 3))
    names = list(dict.fromkeys([*others, right]))
    if missing := rng.random() < 0.1:
        names.remove(right)
    rng.shuffle(names)
    listed = tuple(Tool(name, tools[name]["api_description"]) for name in names)
    return Case("tool", "sealtools", question, "none" if missing else right, tools=listed)


def _seal_arguments(question: str, call: dict, tool: dict) -> Iterator[Case]:
    known = set(spans(question))
    for name, parameter in tool["parameters"].items():
        value = call["parameters"].get(name)
        if value is None or str(value) in known:
            about = {"tool": tool["api_name"], "argument": name, "description": parameter["description"]}
            yield Case("arguments", "sealtools", question, None if value is None else str(value), **about)


def _slots(source: str, question: str, intent: str, slots: dict, known: dict, rng: random.Random) -> Iterator[Case]:
    """Every marked slot, and one that this intent has elsewhere but not here."""
    elsewhere = known.setdefault(intent, set())
    stated = set(spans(question))
    asked = [name for name, value in slots.items() if value in stated]
    for name in asked + _denied(sorted(elsewhere - set(slots)), asked, rng):
        about = f"the {plain(name)} to {plain(intent)}"
        yield Case("arguments", source, question, slots.get(name), tool=plain(intent), argument=name, description=about)
    elsewhere |= set(slots)


def _denied(absent: list[str], asked: list[str], rng: random.Random) -> list[str]:
    """One absent slot, not always: asked of every slot of every turn, the Llama would learn little but "none"."""
    return rng.sample(absent, 1) if absent and rng.random() < (0.6 if asked else 0.25) else []


def _labelled(text: str, labels: str) -> dict[str, str]:
    """Runs of equally labelled words; a label that occurs in two runs is left out, for which is meant is unknown."""
    words, marks = text.split(" "), labels.split(" ")
    found: dict[str, str] = {}
    twice: set[str] = set()
    for index, (word, mark) in enumerate(zip(words, marks, strict=False)):
        if index and marks[index - 1] == mark and mark in found:
            found[mark] += f" {word}"
        elif mark in found:
            twice.add(mark)
        else:
            found[mark] = word
    return {mark: value for mark, value in found.items() if mark != "O" and mark not in twice}
