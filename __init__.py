"""Askfirst answers from your documents and data, and asks first before it changes anything.

The public names, each loaded when it is first used: `import askfirst` itself costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .agent.assistant import Assistant
    from .errors import AskfirstError, RunError, ToolRetry, UsageError
    from .settings import Settings
    from .tools.registry import tool

__all__ = ["AskfirstError", "Assistant", "RunError", "Settings", "ToolRetry", "UsageError", "tool"]
_HOMES = {"Assistant": ".agent.assistant", "Settings": ".settings", "tool": ".tools.registry"}


def __getattr__(name: str) -> Any:
    """The public name `name`, from the module that defines it."""
    if name not in __all__:
        raise AttributeError(f"module 'askfirst' has no attribute '{name}'")
    return getattr(import_module(_HOMES.get(name, ".errors"), __name__), name)
