"""Writes what a comparison found for a person to read: REPORT.md with its plots, and the card beside it."""

import json
import platform
import textwrap
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import Any

from ..agent import card as cards
from ..agent.store import StoredModel
from ..settings import Settings
from .bars import drawing
from .results import Results
from .sides import BASE, SIGNAL

VERSIONS = ("askfirst", "xllamacpp", "onnxruntime", "numpy")
TEXTS: dict[str, Any] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
WIDTH = 128  # characters of a line of the report's prose


def facts(
    stored: StoredModel,
    adapter: Path,
    parameters: int,
    results: Results,
    recipe: Mapping[str, Any],
    limit: int,
    command: str,
    settings: Settings,
    seconds: float,
) -> dict[str, Any]:
    """What somebody needs to run the comparison again and to know what it cost."""
    return {
        "command": command,
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "seed": recipe["seed"],
        "limit": limit,
        "samples": results.sizes(),
        "results": results.digest_of(cards.short),
        "parameters": parameters,
        "adapter_parameters": _adapter_parameters(adapter),
        "versions": {name: _version(name) for name in VERSIONS} | {"python": platform.python_version()},
        "threads": settings.threads,
        "seconds_of_this_run": round(seconds, 1),
    }


def write(folder: Path, card: Mapping[str, Any], results: Results) -> None:
    """The card, the plots and the report, in the adapter's folder."""
    (folder / "card.json").write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", "utf-8")
    for name, (title, groups) in _plots(results).items():
        (folder / f"{name}.svg").write_text(drawing(title, groups), "utf-8")
    (folder / "REPORT.md").write_text("\n".join(_lines(card, results)) + "\n", "utf-8")


def _plots(results: Results) -> dict[str, tuple[str, dict[str, dict[str, Any]]]]:
    """By file name: title, and scores by group and side."""
    rows = results.decisions()
    decided = {
        name: {SIGNAL: row["signal"], BASE: row["base"], results.tuned: row["llama_alone"], **results.beside(name)}
        for name, row in rows.items()
    }
    answers = {side: {name: score for name, score in row.items() if score} for side, row in results.answers().items()}
    turned = {name: {side: row[name] for side, row in answers.items()} for name in next(iter(answers.values()), {})}
    found = {
        "decisions": ("Each decision by signal, base and adapter alone, 95 % intervals", decided),
        "answers": ("Answers from passages, 95 % intervals", turned),
        "functions": ("Function calling (BFCL, accuracy of calls), 95 % intervals", results.bfcl()),
    }
    return {name: (title, groups) for name, (title, groups) in found.items() if groups}


def _lines(card: Mapping[str, Any], results: Results) -> Iterator[str]:
    told = card["report"]
    yield f"# {card['model']} with the adapter {card['adapter']}, measured"
    yield ""
    yield f"The adapter {'**passed** every gate' if card['passed'] else '**did not pass**'}. " + _costs(told, results)
    yield ""
    yield from _made(told)
    yield from _gates(card["gates"])
    yield from _decisions(results)
    yield from _confusion(results)
    yield from _answers(results)
    yield from _calls(results)
    yield from _tracking(results, told["parameters"])
    yield from _bfcl(results)
    yield from _forgetting(results)
    yield from _spent(results, told["parameters"])
    yield from _not_shown(card)


def _costs(told: Mapping[str, Any], results: Results) -> str:
    return (
        f"The base has {told['parameters'] / 1e6:.1f} million parameters and the adapter {told['adapter_parameters'] / 1e6:.1f} "
        f"million; reading or writing one token takes about {2 * told['parameters'] / 1e9:.2f} GFLOPs (2 x parameters)."
    )


def _made(told: Mapping[str, Any]) -> Iterator[str]:
    versions = ", ".join(f"{name} {number}" for name, number in told["versions"].items())
    yield from _said("made", **{**told, "versions": versions})
    yield f"    {told['command']}"
    yield ""
    yield from _said("how")


def _gates(gates: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield from _heading("Gates")
    yield from _table("gate", "measured", "wanted", "passed")
    for gate in gates:
        value = "not measured" if gate["value"] is None else f"{gate['value']:.3f}"
        yield _row(
            f"{TEXTS['gates'][gate['name']]} (`{gate['name']}`)", value, gate["wanted"], "yes" if gate["passed"] else "**no**"
        )
    yield ""


def _decisions(results: Results) -> Iterator[str]:
    rows = results.decisions()
    if not rows:
        return
    others = list(dict.fromkeys(side for name in rows for side in results.beside(name)))
    yield from _heading("Who decides")
    yield from _said("decisions")
    yield "![Each decision by signal, base and adapter](decisions.svg)"
    yield ""
    columns = ("decision", "metric", "cases", "signal", "base alone", f"{results.tuned} alone", f"{results.tuned} as used")
    yield from _table(*columns, "gain on signal", "gain on base", "decides", *(f"{side} alone" for side in others))
    for name, row in rows.items():
        scores = (_shown(row[whose]) for whose in ("signal", "base", "llama_alone", "llama", "gain", "base_gain"))
        who = "Llama" if row["gain"]["low"] >= 0 else "signal"
        beside = results.beside(name)
        yield _row(name, row["metric"], str(row["n"]), *scores, who, *(_shown(beside.get(side)) for side in others))
    yield ""
    yield "By source, the adapter alone (score, cases):"
    yield ""
    for name, row in rows.items():
        yield f"- {name}: " + ", ".join(f"{source} {score:.2f} ({n})" for source, (score, n) in row["by_source"].items())
    yield ""


def _confusion(results: Results) -> Iterator[str]:
    tables = results.confusion()
    if tables:
        yield from _heading("Routing")
    for side, table in tables.items():
        decided = list(dict.fromkeys(name for row in table.values() for name in row))
        right, total = sum(row.get(name, 0) for name, row in table.items()), sum(sum(row.values()) for row in table.values())
        yield f"{side} alone: {right} of {total} right. Rows are what is right, columns what was decided."
        yield ""
        yield from _table("", *decided)
        for name, row in table.items():
            yield _row(name, *(str(row.get(each, 0)) for each in decided))
        yield ""


def _answers(results: Results) -> Iterator[str]:
    rows = results.answers()
    if not rows:
        return
    yield from _heading("Answers from passages")
    yield from _said("answers")
    yield "![Answers from passages](answers.svg)"
    yield ""
    yield from _by_side(rows)


def _calls(results: Results) -> Iterator[str]:
    groups = results.calls()
    if not groups:
        return
    yield from _heading("Whole calls out of dialogues")
    yield from _said("calls")
    names = ("name_accuracy", "call_exact_match", "no_call_accuracy", "unconfirmed_rate")
    yield from _table("cases", "n", "side", *names)
    for group, sides in groups.items():
        for side, row in sides.items():
            yield _row(group, str((row["name_accuracy"] or {}).get("n", 0)), side, *(_shown(row.get(name)) for name in names))
    yield ""


def _tracking(results: Results, parameters: int) -> Iterator[str]:
    rows = results.tracking()
    if not rows:
        return
    yield from _heading("Joint goal accuracy on Schema-Guided Dialogue")
    yield from _said("tracking", dialogues=results.sizes()["tracking"])
    yield from _by_side(rows)
    yield from _said("reference", gflops=2 * parameters / 1e9)


def _bfcl(results: Results) -> Iterator[str]:
    rows = results.bfcl()
    if not rows:
        return
    yield from _heading("Function calling (BFCL)")
    yield from _said("bfcl")
    yield "![Function calling](functions.svg)"
    yield ""
    sizes = {name.split(" ")[1]: n for name, n in results.sizes().items() if name.startswith("bfcl ")}
    yield from _by_side(_turned({f"{kind} ({sizes[kind]})": row for kind, row in rows.items()}))


def _forgetting(results: Results) -> Iterator[str]:
    rows = results.forgetting()
    if not rows:
        return
    yield from _heading("Forgetting")
    yield from _said("forgetting")
    yield from _by_side(rows)


def _spent(results: Results, parameters: int) -> Iterator[str]:
    rows = results.spent()
    if not rows:
        return
    yield from _heading("Cost of a case")
    yield from _said("spent", adapter=results.tuned)
    yield from _table("measure", "cases", "prompt tokens", "written tokens", "GFLOPs at most", "seconds")
    for name, row in rows.items():
        tokens = row["prompt_tokens"] + row["completion_tokens"]
        cost = f"{tokens * 2 * parameters / 1e9:.0f}" if tokens else "not counted"
        counts = (f"{row['prompt_tokens']:.0f}", f"{row['completion_tokens']:.0f}")
        yield _row(name, str(results.sizes()[name]), *counts, cost, f"{row['seconds']:.2f}")
    yield ""


def _not_shown(card: Mapping[str, Any]) -> Iterator[str]:
    yield from _heading("What binds this to the weights")
    yield from _said("bound", signature=card["signature"][:16])


def _by_side(rows: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """One column for each side, one line for each measure."""
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    yield from _table("", *rows)
    for name in names:
        yield _row(name, *(_shown(row.get(name)) for row in rows.values()))
    yield ""


def _turned(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    sides = dict.fromkeys(side for row in rows.values() for side in row)
    return {side: {name: row.get(side) for name, row in rows.items()} for side in sides}


def _shown(score: Mapping[str, Any] | None) -> str:
    return f"{score['score']:.3f} [{score['low']:.3f}, {score['high']:.3f}]" if score else "-"


def _said(name: str, **facts: Any) -> Iterator[str]:
    """A paragraph of report.toml, filled in."""
    yield textwrap.fill(TEXTS[name].format(**facts), WIDTH, break_long_words=False, break_on_hyphens=False)
    yield ""


def _heading(text: str) -> Iterator[str]:
    yield f"## {text}"
    yield ""


def _table(*columns: str) -> Iterator[str]:
    yield _row(*columns)
    yield _row(*("---" for _ in columns))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _adapter_parameters(adapter: Path) -> int:
    from safetensors import safe_open

    with safe_open(adapter / "adapter_model.safetensors", framework="numpy") as file:
        shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118  # it is no dict
    return sum(map(prod, shapes))


def _version(name: str) -> str:
    try:
        return version(name)
    except ImportError:
        return "from source"
