"""What a run says while it runs: step, loss, tokens a second, memory, time left. On a terminal one line that changes, else a
line a minute, so that a log file stays short."""

import sys
import time
from collections import deque
from typing import TextIO

import psutil
import torch

SMOOTHED = 25  # steps
SPARSE = 60.0  # seconds between lines that stay


class Progress:
    """Shows entries of the log as they come; `shown` is False where another process speaks."""

    def __init__(self, steps: int, *, shown: bool = True, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.steps, self.shown, self.live = steps, shown, self.stream.isatty()
        self.latest: deque[dict] = deque(maxlen=SMOOTHED)
        self.next = 0.0

    def show(self, entry: dict) -> None:
        """One more step is done."""
        self.latest.append(entry)
        last = entry["step"] + 1 == self.steps
        if not self.shown or (time.monotonic() < self.next and not last and "validation" not in entry):
            return
        self.next = time.monotonic() + (0.2 if self.live else SPARSE)
        start, end = ("\r\033[K", "\n" if last or "validation" in entry else "") if self.live else ("", "\n")
        print(f"{start}{line(list(self.latest), self.steps)}", end=end, file=self.stream, flush=True)


def line(entries: list[dict], steps: int) -> str:
    """The last of the entries, its loss and speed averaged over all of them."""
    last, seconds = entries[-1], sum(entry["seconds"] for entry in entries) or 1e-9
    loss = sum(entry["loss"] for entry in entries) / len(entries)
    left = (steps - 1 - last["step"]) * seconds / len(entries)
    shown = [
        f"step {last['step'] + 1:,}/{steps:,}",
        f"loss {loss:.3f}",
        *([f"validation {last['validation']:.3f}"] if "validation" in last else []),
        f"{sum(entry['tokens'] for entry in entries) / seconds:,.0f} tokens/s",
        f"{last['memory'] / 1e9:.2f} GB",
        f"{int(left // 3600)}:{int(left % 3600 // 60):02}:{int(left % 60):02} left",
    ]
    return " · ".join(shown)


def peak_memory(device: torch.device) -> int:
    """Bytes that this process held at most so far: of the GPU where there is one, else resident."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    told = psutil.Process().memory_info()
    return getattr(told, "peak_wset", None) or _peak_resident()


def _peak_resident() -> int:
    import resource  # not on Windows, which tells the peak itself

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
