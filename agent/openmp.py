"""The OpenMP library libgomp, which llama.cpp needs, for Linux systems that have none: a bare Debian is such a one.

The wheel pykdtree carries it; nothing else of that wheel is used. This file does not know the server that needs it.
"""

import ctypes
import os
import sys
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

NAME, WHEEL = "libgomp.so.1", "pykdtree"


def variables(folder: Path) -> dict[str, str]:
    """The environment for a process that loads llama.cpp: this one's, and where the system has no libgomp, a link to it in
    `folder` as well. Where no wheel brings it either the process will say so itself."""
    here = carried() if sys.platform == "linux" and not installed() else None
    if here is None:
        return dict(os.environ)
    link(here, folder / NAME)
    return os.environ | {"LD_LIBRARY_PATH": os.pathsep.join(filter(None, (str(folder), os.environ.get("LD_LIBRARY_PATH"))))}


def installed() -> bool:
    """Whether the system's loader finds libgomp by itself."""
    try:
        ctypes.CDLL(NAME)
    except OSError:
        return False
    return True


def carried() -> Path | None:
    """The library inside the installed wheel, under the name that the wheel gave it."""
    try:
        brought = files(WHEEL) or []
    except PackageNotFoundError:
        return None
    return next((Path(str(file.locate())) for file in brought if file.name.startswith("libgomp")), None)


def link(target: Path, path: Path) -> None:
    """Makes `path` a link to `target`, at once, whatever it was before."""
    partial = path.with_suffix(f".{os.getpid()}")
    partial.unlink(missing_ok=True)
    partial.symlink_to(target.absolute())
    os.replace(partial, path)
