"""A data folder in small, in the very forms of the public sets that the readers read. All its words are ours."""

import json
import lzma
from pathlib import Path

import zstandard

SLOTS = [
    {"name": "city", "description": "Where the table is", "is_categorical": False, "possible_values": []},
    {"name": "seats", "description": "How many sit down", "is_categorical": True, "possible_values": ["2", "4"]},
    {"name": "hour", "description": "When they come", "is_categorical": False, "possible_values": []},
]
FIND = {"name": "FindTable", "description": "Find a table", "is_transactional": False, "result_slots": []}
BOOK = {"name": "BookTable", "description": "Book a table", "is_transactional": True, "result_slots": []}
FIND |= {"required_slots": ["city"], "optional_slots": {"seats": "2"}}
BOOK |= {"required_slots": ["city", "hour"], "optional_slots": {"seats": "2"}}


def write(root: Path, name: str, rows: list[dict]) -> None:
    """One compressed file of the training folder."""
    path = root / "train" / f"{name}.jsonl.zst"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(zstandard.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))


def schema(service: str, *, renamed: bool = False) -> dict:
    """A service; renamed, all its names are others and stand in the same order."""

    def name(own: str) -> str:
        return f"other_{own}" if renamed else own

    intents = [
        one
        | {"name": name(one["name"]), "required_slots": [name(slot) for slot in one["required_slots"]]}
        | {"optional_slots": {name(slot): value for slot, value in one["optional_slots"].items()}}
        for one in (FIND, BOOK)
    ]
    slots = [slot | {"name": name(slot["name"])} for slot in SLOTS]
    return {"service_name": service, "description": "Tables", "slots": slots, "intents": intents}


def turn(
    speaker: str, service: str, words: str, *, acts: list[dict], state: dict | None = None, call: dict | None = None
) -> dict:
    """One turn of a dialogue; marked slots are those whose value stands in the words."""
    slots = [
        {
            "slot": act["slot"],
            "start": words.index(act["values"][0]),
            "exclusive_end": words.index(act["values"][0]) + len(act["values"][0]),
        }
        for act in acts
        if act["act"] == "INFORM" and act["values"][0] in words
    ]
    frame = {"service": service, "actions": acts, "slots": slots}
    frame |= {"state": state} if state else {}
    frame |= {"service_call": call, "service_results": []} if call else {}
    return {"speaker": speaker, "utterance": words, "frames": [frame]}


def act(name: str, slot: str = "", *values: str) -> dict:
    """An action of a turn."""
    return {"act": name, "slot": slot, "values": list(values), "canonical_values": list(values)}


def dialogue(number: int, service: str, city: str, hour: str) -> dict:
    """A table is asked for, the hour is missing, the booking is confirmed and then made; thanks end it."""

    def state(intent: str, **said: str) -> dict:
        return {"active_intent": intent, "requested_slots": [], "slot_values": {slot: [value] for slot, value in said.items()}}

    asked = [act("INFORM", "city", city), act("INFORM_INTENT", "intent", "BookTable")]
    told = [act("INFORM", "hour", hour)]
    confirm = [act("CONFIRM", "city", city), act("CONFIRM", "hour", hour)]
    both = {"city": city, "hour": hour}
    turns = [
        turn("USER", service, f"I want a table in {city}, please.", acts=asked, state=state("BookTable", city=city)),
        turn("SYSTEM", service, "At what hour?", acts=[act("REQUEST", "hour")]),
        turn("USER", service, f"We come at {hour}.", acts=told, state=state("BookTable", **both)),
        turn("SYSTEM", service, f"A table in {city} at {hour}, right?", acts=confirm),
        turn("USER", service, "Yes, that is right.", acts=[act("AFFIRM")], state=state("BookTable", **both)),
        turn("SYSTEM", service, "It is booked.", acts=[act("NOTIFY_SUCCESS")], call={"method": "BookTable", "parameters": both}),
        turn("USER", service, "Thanks a lot.", acts=[act("THANK_YOU")], state=state("NONE", **both)),
        turn("SYSTEM", service, "Goodbye.", acts=[act("GOODBYE")]),
    ]
    return {"dialogue_id": f"1_{number:05}", "services": [service], "turns": turns}


def data_folder(root: Path) -> Path:
    """Dialogues, passages, instructions and prose: enough for every stage of `prepare`, much too little to train on."""
    cities = ["Lyon", "Porto", "Ghent", "Turku", "Graz", "Leeds", "Bergen", "Krakow"]
    trained = [f"Tables_{number}" for number in range(1, 3)] + ["Chairs_1", "Desks_1", "Lamps_1"]
    for part, listed in (("sgd_train", trained), ("sgd_dev", [*trained, "Rooms_1"])):
        write(root, f"{part}_schema", [schema(one) for one in listed])
        write(root, f"{part}_schema_sgdx_v5", [schema(one, renamed=True) for one in listed])
    hours = ["five", "half past six", "8 pm", "noon"]
    write(root, "sgd_train", [dialogue(n, trained[n % 2], cities[n % 6], hours[n % 4]) for n in range(24)])
    write(root, "sgd_dev", [dialogue(n, ("Tables_1", "Rooms_1")[n % 2], cities[6 + n % 2], hours[n % 4]) for n in range(12)])
    write(root, "squad11_dev_extra", [passage(number) for number in range(30, 40)])
    write(root, "squad2_dev_part", [passage(number) for number in range(30)])
    write(root, "llamafactory_alpaca_en_demo", [instruction(number) for number in range(60)])
    prose = [{"title": f"Place {chr(65 + n)}", "source": "ours", "text": f"Place {n} lies by a river. " * 120} for n in range(26)]
    (root / "corpus").mkdir(parents=True, exist_ok=True)
    with lzma.open(root / "corpus" / "corpus-00.jsonl.xz", "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in prose)
    return root


def passage(number: int) -> dict:
    """Three sentences with a question that they answer and one that they do not."""
    year = 1700 + number
    text = f"The bridge number {number} is long. It was built in {year} by Anna Berg. Many people cross it every day."
    answered = {"question": f"When was bridge {number} built?", "answers": [{"text": str(year)}], "is_impossible": False}
    open_ = {"question": f"Who painted the bridge {number} white?", "answers": [], "is_impossible": True}
    return {"title": f"Bridge {number}", "context": text, "qas": [answered, open_]}


def instruction(number: int) -> dict:
    """A short instruction with its reply."""
    thing = ["river", "lamp", "garden", "street", "clock", "window"][number % 6]
    return {
        "instruction": f"Write {number} words on a {thing}.",
        "input": "",
        "output": f"The {thing} is quiet in the evening {number}.",
    }
