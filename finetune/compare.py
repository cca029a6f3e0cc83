"""Compares an adapter with its base and the signals on data that none of them saw; writes its report and its signed card.

    askfirst tune compare --adapter decisions --heldout PREPARED/heldout --data DATA [--beside NAME ...] [--limit N]

Everything is asked of the served model as users have it. Every case is kept as it is answered: stopped anywhere, the same
command goes on; with a larger limit it asks only what is new. The adapter's folder gets `card.json`, `REPORT.md` and its plots.
"""

import argparse
import math
import shlex
import sys
import time
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..agent import card as cards
from ..agent.card import read_card
from ..agent.language import metered
from ..agent.store import find
from ..errors import AdapterMissing, CasesInvalid
from ..settings import Settings
from . import measures, report
from .kept import Kept
from .measures import Measure
from .results import Results
from .sides import Side, Sides, sides

DECIDING = 0.7  # of the time is for the single decisions, from which the rest follows
IN_CALLS = ("arguments", "tool", "decompose")  # what a Llama may decide on the way to a call


def main(argv: list[str] | None = None) -> None:
    options = _options(argv)
    recipe = tomllib.loads(options.recipe.read_text("utf-8"))
    limit = options.limit or recipe["limit"]
    if not options.heldout.is_dir():
        raise CasesInvalid(options.heldout, "it is no folder")

    # 1. The adapters on one server, with the base's and the signals' side.
    given = {"model": options.model, "home": options.home, "threads": options.threads}
    settings = Settings.load(**given, adapter=options.adapter, force=True)  # it is loaded here to be judged
    stored = find(settings)
    folder = stored.adapter(options.adapter)
    if folder is None:
        raise AdapterMissing(options.adapter, model=stored.name, known=[each.name for each in stored.adapters])
    names, began = list(dict.fromkeys([options.adapter, *options.beside])), time.monotonic()
    work = options.work or settings.home / "compare" / stored.name
    with sides(settings, stored, names) as asked, Kept(work / "cases.jsonl") as kept:
        results = Results(kept, names[0], {side.name: side.key for side in asked.all})
        task = Task(asked, kept, results, options.only, limit)

        # 2. Each decision by signal, base and adapters; from the gains follows what the adapter decides.
        share, until = recipe["share"], began + 60 * DECIDING * options.minutes
        task.ask(
            lambda part: measures.decisions(options.heldout, asked, seed=recipe["seed"], limit=share["decisions"] * part), until
        )
        llama = [decision for decision in results.decided() if decision in IN_CALLS]

        # 3. Whole calls, dialogue states, the leaderboard's tasks; what was forgotten.
        task.ask(lambda part: _further(options, asked, llama, recipe, part), began + 60 * options.minutes)
        parameters = asked.parameters

    # 4. The gates, the report, the card.
    facts = report.facts(stored, folder, parameters, results, recipe, limit, _command(argv), settings, time.monotonic() - began)
    table = results.gates(recipe["gate"])
    before = read_card(folder)
    decisions = before["decisions"] | results.decisions()
    card = {**before, "model": stored.name, "adapter": folder.name, "decisions": decisions, "gates": table, "report": facts}
    card["passed"] = bool(table) and all(gate["passed"] for gate in table)
    report.write(folder, cards.signed(card, folder, stored.source), results)
    print(f"{folder / 'REPORT.md'}: {'passed' if card['passed'] else 'did not pass'}")


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="askfirst tune compare", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", help="its name; the setting's by default")
    parser.add_argument("--adapter", default="decisions", help="the adapter that gets the report and the card")
    parser.add_argument("--beside", nargs="*", default=[], metavar="NAME", help="further adapters, shown beside it")
    parser.add_argument("--heldout", type=Path, required=True, help="folder of <decision>.jsonl, and tools.jsonl if there is one")
    parser.add_argument("--data", type=Path, help="folder with train/, bench/ and corpus/; without it only --heldout is measured")
    parser.add_argument("--recipe", type=Path, default=Path(__file__).with_name("recipes") / "compare.toml")
    parser.add_argument(
        "--limit", type=int, help="cases of a decision; the recipe's by default, its other measures in proportion"
    )
    parser.add_argument(
        "--only", nargs="*", metavar="MEASURE", help="only these (route, tool, ..., calls, tracking, bfcl, perplexity)"
    )
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="ask no longer, and report what every side has answered by then"
    )
    parser.add_argument("--work", type=Path, help="where answered cases are kept; in the home's folder by default")
    parser.add_argument("--home", type=Path, help="as for every other command")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(argv)


def _further(
    options: argparse.Namespace, asked: Sides, llama: Sequence[str], recipe: dict[str, Any], limit: float
) -> list[Measure]:
    """The measures beyond single decisions, as far as their data is there."""
    share, seed, found = recipe["share"], recipe["seed"], []
    if (calls := options.heldout / "tools.jsonl").exists():
        found.append(measures.calls(calls, asked, llama, seed=seed, limit=share["calls"] * limit))
    if options.data:
        found.append(measures.states(options.data, asked, seed=seed, limit=share["tracking"] * limit))
        tasks = options.data / "bench" / "bfcl.tar.zst"
        found += measures.function_calling(tasks, asked, llama, seed=seed, limit=share["bfcl"] * limit) if tasks.exists() else []
        found += measures.forgotten(options.data, asked, share, seed=seed, limit=limit)
    return found


@dataclass(frozen=True)
class Task:
    """The asking: everybody the same cases, until all are answered or the time is over."""

    asked: Sides
    kept: Kept
    results: Results
    only: Sequence[str] | None
    limit: int

    def ask(self, make: Callable[[float], list[Measure]], until: float) -> None:
        """`make` gives the measures of a limit. Within a time they are asked an eighth first, then a quarter, a half and all, so
        that each has been answered by every side as far as the time went."""
        for part in (1,) if until == math.inf else (8, 4, 2, 1):
            for measure in filter(self._wanted, make(self.limit / part)):
                for name in measure.sides:
                    self._ask(measure, self.asked[name], until)
        for measure in filter(self._wanted, make(self.limit)):
            self.results.add(measure)

    def _wanted(self, measure: Measure) -> bool:
        return not self.only or measure.name.split(" ")[0] in self.only

    def _ask(self, measure: Measure, side: Side, until: float) -> None:
        missing = [case for case in measure.cases if not self.kept.get(measure.name, side.key, case[0])]
        began = time.monotonic()
        for number, (id, case) in enumerate(missing, 1):
            if (before := time.monotonic()) >= until:
                return
            with metered() as spent:
                came = measure.score(case, side)
            cost = {"prompt_tokens": spent.prompt, "completion_tokens": spent.completion}
            self.kept.add(measure.name, side.key, id, {**came, **cost, "seconds": round(time.monotonic() - before, 3)})
            _show(measure.name, side.name, number, len(missing), time.monotonic() - began)


def _show(measure: str, side: str, done: int, total: int, seconds: float) -> None:
    """One line that is written over, and stays once a side is done."""
    if sys.stderr.isatty() or done == total:
        end = "\n" if done == total else "\r"
        print(
            f"{measure:40} {side:16} {done:5} of {total:5} {seconds / done:7.2f} s a case", end=end, file=sys.stderr, flush=True
        )


def _command(argv: Sequence[str] | None) -> str:
    """What was called; of an absolute path, which is nobody else's, the last part."""
    words = sys.argv[1:] if argv is None else argv
    return f"askfirst tune compare {shlex.join(Path(word).name if Path(word).is_absolute() else word for word in words)}"


if __name__ == "__main__":
    main()
