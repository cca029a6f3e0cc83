"""Joint goal accuracy on Schema-Guided Dialogue, as its evaluation defines it: every slot's state after every user turn.

Slots are asked for one at a time from the words of the turn, as the agent asks for arguments; code keeps the state.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from math import prod
from pathlib import Path
from typing import Any

from ..agent import dialogue, signals
from ..agent.arguments import Embed, from_text
from ..agent.model import LanguageModel
from ..agent.words import plain, words
from ..errors import ModelReplyInvalid
from .dialogues import rows

Schema = Mapping[str, Any]
State = dict[str, dict[str, str]]  # by service and slot


@dataclass(frozen=True)
class Dialogue:
    """A dialogue with the schemas of its services; `seen` are those that training names."""

    id: str
    turns: Sequence[Mapping[str, Any]]
    schemas: Mapping[str, Mapping[str, Any]]
    seen: frozenset[str]


def dialogues(root: Path) -> Iterator[Dialogue]:
    """The development dialogues."""
    schemas = {service["service_name"]: service for service in rows(root, "sgd_dev_schema")}
    trained = {service["service_name"] for service in rows(root, "sgd_train_schema")}
    for row in rows(root, "sgd_dev"):
        named = {name: schemas[name] for name in row["services"]}
        yield Dialogue(row["dialogue_id"], row["turns"], named, frozenset(trained & set(named)))


def tracked(talk: Dialogue, embed: Embed, model: LanguageModel | None) -> list[dict[str, Any]]:
    """For each frame of each user turn: `joint_goal_accuracy` (fuzzy, as published) and whether the intent is right.

    Without a model every value is a signal's. With one the Llama is asked for the values that no signal finds, as in a run.
    """
    state: State = {name: {} for name in talk.schemas}
    intents: dict[str, str] = {}
    frames, before = [], ""
    for turn in talk.turns:
        if turn["speaker"] != "USER":
            before = turn["utterance"]
            continue
        for frame in turn["frames"]:
            service = talk.schemas[frame["service"]]
            intent = _intent(turn["utterance"], service, intents.get(frame["service"]), embed)
            intents[frame["service"]] = intent["name"]
            said = [turn["utterance"], *([before] if dialogue.AGREES.match(turn["utterance"]) else [])]
            state[frame["service"]] |= _told(said, service, intent, embed, model)
            wanted = frame["state"]
            goal = joint_goal(wanted["slot_values"], state[frame["service"]], service)
            right = wanted["active_intent"] in ("NONE", intent["name"])
            frames.append({"seen": frame["service"] in talk.seen, "joint_goal_accuracy": goal, "intent_accuracy": float(right)})
    return frames


def joint_goal(wanted: Mapping[str, Sequence[str]], told: Mapping[str, str], service: Mapping[str, Any]) -> float:
    """The product over all slots of the service: 1 for a slot that is right or rightly empty, for free text how alike it is."""
    points = []
    for slot in service["slots"]:
        name = slot["name"]
        if name not in wanted or name not in told:
            points.append(float(name not in wanted and name not in told))
        elif slot["is_categorical"]:
            points.append(float(wanted[name][0] == told[name]))
        else:
            points.append(max(alike(right, told[name]) for right in wanted[name]))
    return prod(points)


def alike(one: str, other: str) -> float:
    """fuzzywuzzy's token sort ratio, 0..1: how alike two texts are once their words are sorted."""
    left, right = (" ".join(sorted(words(text))) for text in (one, other))
    return round(SequenceMatcher(None, left, right).ratio(), 2) if left and right else 0.0


def _intent(said: str, service: Mapping[str, Any], before: str | None, embed: Embed) -> Mapping[str, Any]:
    """The intent by the signal; one that was active stays unless another is clearly asked for."""
    tools = [{"name": plain(one["name"]), "description": one["description"]} for one in service["intents"]]
    chosen = signals.named_tool(said, tools, embed, least=0.35 if before else 0.0)
    named = {plain(one["name"]): one for one in service["intents"]}
    kept = next((one for one in service["intents"] if one["name"] == before), service["intents"][0])
    return named.get(chosen, kept)


def _told(
    said: Sequence[str], service: Mapping[str, Any], intent: Mapping[str, Any], embed: Embed, model: LanguageModel | None
) -> dict[str, str]:
    """The values of the intent's slots that the turn states; where the person agrees, those of what they agree to."""
    found: dict[str, str] = {}
    slots = {slot["name"]: slot for slot in service["slots"]}
    for name in dict.fromkeys([*intent["required_slots"], *intent["optional_slots"]]):
        for text in said:
            value = _value(text, slots[name], intent, embed, model)
            if value is not None and value not in found.values():
                found[name] = value
                break
    return found


def _value(
    text: str, slot: Mapping[str, Any], intent: Mapping[str, Any], embed: Embed, model: LanguageModel | None
) -> str | None:
    options = slot["possible_values"] if slot["is_categorical"] else None
    schema: dict[str, Any] = {"type": "string", **({"enum": options} if options else {})}
    signal = from_text(slot["name"], schema, None, text, embed)
    if signal or model is None:
        return str(signal[0]) if signal else None
    about = {"tool": plain(intent["name"]), "argument": plain(slot["name"]), "description": slot["description"]}
    try:
        return model.fill(text, options=options, **about).value
    except ModelReplyInvalid:
        return None
