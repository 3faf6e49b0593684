"""Ratios against what people would use instead: ours and the peer in turn, in one process, and none unless
their outputs agree.

A benchmark is a `Case` in the table `CASES` of a module named in `benchmarks/__main__.py`.
"""

from __future__ import annotations

import itertools
import json
import statistics
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

try:
    import resource
except ImportError:  # Windows
    resource = None

import torch

from lib.base.errors import InputError, unknown
from lib.base.files import damaged, write_atomically
from lib.runs import provenance

Work = Callable[[], object]  # what is timed, once per call
# first word of a unit of time, and how many of the unit are a second
SCALES = {"s": 1.0, "ms": 1e3, "µs": 1e6}


@dataclass(frozen=True)
class Target:
    """The ratio aimed at, set before it is measured."""

    value: float
    at_most: bool = False

    def met(self, ratio: float) -> bool:
        return ratio <= self.value if self.at_most else ratio >= self.value

    def __str__(self) -> str:
        return f"{'<=' if self.at_most else '>='} {self.value:g}"


@dataclass(frozen=True)
class Case:
    """One comparison. Its functions take a device, "cpu" or "cuda", and are called when it is run, so that
    the table costs nothing.

    The ratio is time of the peer / time of ours: above 1, ours is faster.
    """

    name: str
    ours: Callable[[str], Work]  # prepares, and returns what is timed
    peer: Callable[[str], Work]
    peer_name: str
    parity: Callable[[str], str | None]  # one line on where the outputs disagree, None if they agree
    targets: Mapping[str, Target]  # targets by device; without one for a device the case is not run there
    unit: str = "ms"  # unit of both times: s, ms or µs and of what; or "share of ...", where ours is 1
    per: int = 1  # how many of what the unit counts are done in one call
    repeats: int = 7
    package: str = ""  # package of the peer, if it may be missing
    threads: int = 0  # threads of torch on a CPU, if the peer has a fixed number; 0 for torch's own choice
    memory: bool = False  # whether the memory that a call takes at most is measured too, in a call of its own

    def __post_init__(self) -> None:
        if self.unit.split()[0] not in [*SCALES, "share"]:
            raise unknown("unit of time", self.unit, [*SCALES, "share of ..."])


def devices() -> list[str]:
    """The CPU, and a GPU where there is one."""
    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def reader(device: str) -> tuple[Callable[[], float], str]:
    """What reads the clock, in seconds, and the clock's name.

    A CPU with one thread is timed by the CPU time of the process, which other processes disturb least; more
    threads, and a GPU, by the wall clock, a GPU's work being finished first.
    """
    if device == "cuda":

        def read() -> float:
            torch.cuda.synchronize()
            return time.perf_counter()

        return read, "wall"
    return (time.process_time, "CPU time") if torch.get_num_threads() == 1 else (time.perf_counter, "wall")


class Sample(NamedTuple):
    """What one call took."""

    seconds: float
    faults: int | None  # pages that the process had to fetch anew; None where that is not counted


def page_faults() -> int | None:
    """Minor page faults of this process so far (`ru_minflt`), in all its threads; None on a system without
    them.
    """
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt if resource else None


def peak_memory(work: Work, device: str) -> float:
    """The most memory that one call holds at once, in MiB beyond what was there before it: of tensors, as
    torch's profiler counts them on a CPU, and its allocator on a GPU.
    """
    if device == "cuda":
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        work()
        torch.cuda.synchronize()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    with (
        warnings.catch_warnings(action="ignore"),
        torch.profiler.profile(
            activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
        ) as profiler,
    ):
        work()
    events = [one for one in profiler.profiler.kineto_results.events() if one.name() == "[memory]"]
    held = itertools.accumulate(one.nbytes() for one in sorted(events, key=lambda one: one.start_ns()))
    return max(held, default=0) / 2**20


def interleave(
    ours: Work, peer: Work, repeats: int, read: Callable[[], float]
) -> tuple[list[Sample], list[Sample]]:
    """What ours and the peer take in `repeats` pairs, in turn, after one call of each that is not counted."""
    ours(), peer()
    samples: tuple[list[Sample], list[Sample]] = ([], [])
    for _ in range(repeats):
        for work, taken in zip((ours, peer), samples, strict=True):
            before, start = page_faults(), read()
            work()
            seconds, after = read() - start, page_faults()
            taken.append(Sample(seconds, None if before is None else after - before))
    return samples


def run(
    case: Case, device: str, *, repeats: int | None = None, read: Callable[[], float] | None = None
) -> dict[str, object]:
    """One case on one device as a row: see `row`.

    Outputs are compared first, and only if they agree is anything timed.

    A case whose peer or data are not here, or that is not meant for the device, is a row with a note.

    Args:
        read: The clock, by default `reader(device)`.
    """
    if device not in case.targets:
        return row(case, device, note=f"not run: for {' and '.join(case.targets)} only")
    if case.package and find_spec(case.package) is None:
        return row(case, device, note=f"not run: {case.package} is not installed")
    before = torch.get_num_threads()
    if case.threads and device == "cpu":
        torch.set_num_threads(case.threads)
    try:
        read, clock = (read, "given") if read else reader(device)
        disagreement = case.parity(device)
        if disagreement:
            return row(case, device, parity=f"failed: {disagreement}")
        works = case.ours(device), case.peer(device)
        ours, peer = interleave(*works, repeats or case.repeats, read)
        # after the timing, which a profiler would slow down
        memory = tuple(peak_memory(work, device) for work in works) if case.memory else ()
        return row(case, device, ours=ours, peer=peer, parity="ok", clock=clock, memory=memory)
    except InputError as error:  # data that are not here
        return row(case, device, note=f"not run: {error}")
    finally:
        torch.set_num_threads(before)


def row(
    case: Case,
    device: str,
    *,
    ours: Sequence[Sample] = (),
    peer: Sequence[Sample] = (),
    parity: str | None = None,
    note: str = "",
    clock: str = "",
    memory: Sequence[float] = (),
) -> dict[str, object]:
    """One row of the results: the documented keys, then what explains them.

    Without times, every number is None.

    Returns:
        A row in which ours, peer and unit are the medians of the seconds given, in the unit; ratio, low and
        high are the median of the peer over the median of ours, and the lowest and highest ratio of a pair;
        and parity is "ok", "failed: ..." or, if nothing was compared, None.

        - `ours_faults, peer_faults`: Page faults of each call: many of them say that memory was given back
          and fetched anew.
        - `ours_mib, peer_mib`: Memory that a call of each holds at most, from `peak_memory`; in cases that
          ask for it alone.
    """
    median_ours = median_peer = ratio = low = high = None
    if ours:
        median_ours, median_peer = (statistics.median(one.seconds for one in side) for side in (ours, peer))
        ratio = median_peer / median_ours
        pairs = [theirs.seconds / mine.seconds for mine, theirs in zip(ours, peer, strict=True)]
        low, high = min(pairs), max(pairs)
        word = case.unit.split()[0]
        scale = SCALES[word] / case.per if word in SCALES else 1 / median_ours
        median_ours, median_peer = median_ours * scale, median_peer * scale
    target = case.targets.get(device)
    return {
        "name": case.name,
        "device": device,
        "ours": _rounded(median_ours),
        "peer": _rounded(median_peer),
        "peer_name": case.peer_name,
        "ratio": _rounded(ratio),
        "unit": case.unit,
        "repeats": len(ours),
        "low": _rounded(low),
        "high": _rounded(high),
        "target": str(target) if target else None,
        "met": target.met(ratio) if target and ratio is not None else None,
        "parity": parity,
        "note": note,
        "clock": clock,
        "ours_faults": [one.faults for one in ours],
        "peer_faults": [one.faults for one in peer],
        **{f"{side}_mib": round(one, 1) for side, one in zip(("ours", "peer"), memory, strict=False)},
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": provenance.commit(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "machine": provenance.device(device),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def failed(rows: Iterable[dict[str, object]]) -> bool:
    """Whether the outputs of any case disagreed."""
    return any(str(one["parity"]).startswith("failed") for one in rows)


def _usual(faults: Sequence[int | None]) -> str:
    """The median of a side's page faults, for the table."""
    counted = [one for one in faults if one is not None]
    return f"{statistics.median(counted):,.0f}" if counted else "?"


def table(rows: list[dict[str, object]]) -> str:
    """The rows as text: one line for each case, and in place of a ratio the reason why there is none.

    Under "faults" stand the medians of the page faults of one call of ours and one of the peer.
    """
    head = ["case", "device", "ours", "peer", "", "ratio", "range", "target", "", "faults", "MiB", "peer is"]
    lines, reasons = [head], {}
    for one in rows:
        line = [one["name"], one["device"]]
        if one["ratio"] is None:
            reasons[len(lines)] = (
                one["note"] or f"no ratio, outputs disagree: {one['parity'].removeprefix('failed: ')}"
            )
        else:
            line += [
                f"{one['ours']:.3g}",
                f"{one['peer']:.3g}",
                one["unit"],
                f"{one['ratio']:.3g}",
                f"{one['low']:.3g} .. {one['high']:.3g}",
            ]
            line += [one["target"], "met" if one["met"] else "missed"]
            line += [" : ".join(_usual(one[f"{side}_faults"]) for side in ("ours", "peer"))]
            line += [f"{one['ours_mib']:.0f} : {one['peer_mib']:.0f}" if "ours_mib" in one else "-"]
            line += [one["peer_name"]]
        lines.append(line)
    widths = [max(len(line[column]) for line in lines if column < len(line)) for column in range(len(head))]
    # a line without a ratio is short
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False)) for line in lines]
    return "\n".join(f"{line}  {reasons.get(number, '')}".rstrip() for number, line in enumerate(text))


def write(file: Path, rows: list[dict[str, object]]) -> None:
    """Write rows as JSON, one row per line, as a whole or not at all.

    Raises:
        InputError: If the file cannot be written.
    """
    lines = ",\n".join(json.dumps(one, ensure_ascii=False, allow_nan=False) for one in rows)
    write_atomically(file, f"[\n{lines}\n]\n".encode())


def read_rows(file: Path) -> list[dict[str, object]]:
    """Rows written by `write`; none if there is no file.

    Raises:
        InputError: For a file with anything else.
    """
    if not file.is_file():
        return []
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
        [(one["name"], one["device"], one["ratio"]) for one in rows]
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise damaged(
            file, f"does not hold benchmark results ({error})", "restore it (git checkout) or delete it"
        ) from error
    return rows


def merged(published: list[dict[str, object]], rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Published rows with new ones in the place of those of the same name and device; a case that was not run
    replaces none that was.
    """
    kept = {(one["name"], one["device"]): one for one in published}
    for one in rows:
        key = one["name"], one["device"]
        if one["parity"] is not None or key not in kept:
            kept[key] = one
    return [kept[key] for key in sorted(kept)]
