"""Runs without images and without a trained network: a computation with settings and a seed, whose tables are
kept like those of a network.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lib.base import fingerprint, malloc, paths
from lib.base.errors import InputError, unknown
from lib.base.files import Unfit, damaged, parsed, there
from lib.base.locks import lock
from lib.measurements.measurement import COUNT, FLOAT, PLACE, SHARE, TEXT, Column
from lib.models.precision import exact, single_precision_by_default
from lib.purification.simulation import theorem
from lib.runs import named, provenance, store
from lib.runs.columns import checked_frame
from lib.runs.fields import PART, SIMULATED, Field, check_fields, is_count, is_plain, is_text
from lib.runs.run import _parquet, frozen
from lib.runs.validity import CONFIG

NAMED = {
    "simulation": Field(is_text),
    "seed": Field(is_count),
    "settings": Field(lambda value: isinstance(value, dict) and all(map(is_plain, value.values()))),
}
GROUP = "simulations"  # the folder of all of them in the store
Setting = bool | int | float | str


@dataclass(frozen=True)
class Kind:
    """A kind of simulation.

    Attributes:
        function: (seed=..., every setting by name) -> its tables by name. It takes all its randomness from
            the seed.
        summary: What is simulated, in a line.
        tables: The columns of each table, in order.
        settings: Its settings with their defaults, each a truth value, a number or a word.

    Raises:
        ValueError: For a column with the name of a setting, "simulation" or "seed": a table over several runs
            has columns of these names.
    """

    function: Callable[..., Mapping[str, pd.DataFrame]]
    summary: str
    tables: Mapping[str, Mapping[str, Column]]
    settings: Mapping[str, Setting]

    def __post_init__(self) -> None:
        for table, columns in self.tables.items():
            if taken := sorted({"simulation", "seed", *self.settings} & set(columns)):
                raise ValueError(
                    f"column {taken[0]} of table {table} has the name of a setting: rename one of them"
                )


# The theorem of feature purification; a `stage` is one of its networks, "more clean" the control. The
# settings are the arguments of `lib.purification.simulation.theorem`.
PURIFICATION = Kind(
    theorem,
    "feature purification in the theorem's own world, at a finite size",
    {
        "accuracy": {"classifier": TEXT, "perturbation": TEXT, "radius": FLOAT, "accuracy": SHARE},
        "stages": {
            "stage": TEXT,
            "live": COUNT,
            "atoms": COUNT,
            **dict.fromkeys(("mixture", "top_atom"), SHARE),
            "relative_threshold": FLOAT,
            **dict.fromkeys(("angle_start", "angle_clean", "angle_pairs"), SHARE),
            "angle_chance": SHARE,
            "relative_change": FLOAT,
            "change_along_mixture": SHARE,
        },
        "neurons": {
            "stage": TEXT,
            "neuron": COUNT,
            "length": FLOAT,
            **dict.fromkeys(("mixture", "top_atom", "angle_start", "angle_clean"), SHARE),
        },
        "change": {"stage": TEXT, "directions": PLACE, "energy": SHARE},
        "coefficients": {"stage": TEXT, "neuron": COUNT, "atom": COUNT, "coefficient": FLOAT},
        "history": {"training": TEXT, "step": PLACE, "loss": FLOAT, "accuracy": SHARE},
    },
    {
        "d": 100,
        "m": 200,
        "k": 10,
        "tau": 0.15,
        "norm": "l2",
        "attack": "pgd",
        "attack_steps": 7,
        "threshold": "norm",
        "cut": 0.5,
        "clean_steps": 3000,
        "adversarial_steps": 3000,
        "kernel_steps": 500,
        "batch": 512,
        "test_samples": 4000,
        "test_steps": 40,
        "data_noise": 0.0,
        "neuron_noise": 0.0,
    },
)

# One line per kind of simulation.
SIMULATIONS: dict[str, Kind] = {"purification": PURIFICATION}


@dataclass(frozen=True)
class Simulation:
    """Everything that determines one simulation; its hash names the run.

    Raises:
        InputError: For an unknown kind or setting, or a value of another type than the default's.
    """

    kind: str
    seed: int = 0
    # the settings in the order of their names; what is not given is the kind's default
    settings: tuple[tuple[str, Setting], ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in SIMULATIONS:
            raise unknown("simulation", self.kind, SIMULATIONS)
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or not 0 <= self.seed < 2**53:
            raise InputError(f"seed must be a whole number >= 0, got {self.seed!r}")
        defaults, given = SIMULATIONS[self.kind].settings, dict(self.settings)
        for name in given:
            if name not in defaults:
                raise unknown(f"setting of {self.kind}", name, defaults)
        found = {name: _like(default, given.get(name, default), name) for name, default in defaults.items()}
        object.__setattr__(self, "settings", tuple(sorted(found.items())))

    def canonical(self) -> dict[str, object]:
        """Canonical form that is hashed: the kind, the seed, and all settings."""
        return {"simulation": self.kind, "seed": self.seed, "settings": dict(self.settings)}

    @property
    def key(self) -> str:
        """8 hex digits of the SHA-256 of the canonical JSON."""
        return hashlib.sha256(json.dumps(self.canonical(), sort_keys=True).encode()).hexdigest()[:8]

    @property
    def name(self) -> str:
        """Folder of the run below the store: the kind, the settings of its own, the seed and the key."""
        words = re.sub(r"[^A-Za-z0-9.=_-]", "_", self.words.replace(", ", "-"))[:80]
        return f"{GROUP}/{self.kind}-{words + '-' if words else ''}seed{self.seed}-{self.key}"

    @property
    def words(self) -> str:
        """The settings that differ from the defaults, such as "d=64, tau=0.2"."""
        defaults = SIMULATIONS[self.kind].settings
        return ", ".join(f"{name}={value}" for name, value in self.settings if value != defaults[name])


def _like(default: Setting, value: object, name: str) -> Setting:
    """A value as a setting of the default's type; a whole number may stand for any number."""
    if isinstance(default, float) and isinstance(value, int | float) and not isinstance(value, bool):
        try:
            if math.isfinite(number := float(value)):
                return number + 0.0  # -0.0 and 0.0 are one setting
        except OverflowError:
            pass
    elif type(value) is type(default) and (type(value) is not int or abs(value) < 2**53):
        return value
    raise InputError(f"{name} must be a value like {default!r}, got {value!r}")


def simulated(kind: str, table: str, *, seeds: Iterable[int], **settings: Setting) -> pd.DataFrame:
    """Tidy table of a simulation over several seeds; what is cached is read, what is missing is made now.

    Args:
        kind: Name of the simulation.
        table: Name of one of its tables.
        seeds: Seeds, one run each.
        settings: Settings in place of the kind's own.

    Returns:
        The table; its columns simulation, seed and those of the settings come first. Runs that other code
        than today's has made are named on stderr, once a process.

    Raises:
        InputError: For an unknown kind, table or setting, for what is missing under RUNS_FROZEN=1, and for
            damaged files.
    """
    wanted = [Simulation(kind, seed, tuple(settings.items())) for seed in dict.fromkeys(seeds)]
    if not wanted:
        raise InputError("need at least one seed, got none")
    if table not in SIMULATIONS[kind].tables:
        raise unknown(f"table of {kind}", table, SIMULATIONS[kind].tables)
    rows = pd.concat([_rows(one, table) for one in wanted], ignore_index=True)
    _warn_of_stale(wanted)
    return rows


def _warn_of_stale(ones: Iterable[Simulation]) -> None:
    """Say on stderr which of these other code than today's has made."""
    from lib.runs import staleness  # which judges by the catalogue, and that lists simulations

    staleness.tell("simulation", stale(ones))


def stale(ones: Iterable[Simulation]) -> list[str]:
    """Names of the cached simulations among these that other code than today's has made."""
    found = {one: run for one in ones if (run := find(one))}
    codes = {kind: digest(kind) for kind in {one.kind for one in found}}
    return [one.name for one, run in found.items() if config(run)["provenance"]["code"] != codes[one.kind]]


def make(one: Simulation) -> store.Folder:
    """Folder of a simulation, which is run now if it is not cached.

    Raises:
        InputError: If it is missing under RUNS_FROZEN=1, is damaged, or cannot be written.
    """
    if run := find(one):
        return run
    if frozen():
        raise InputError(f"RUNS_FROZEN=1 and simulation {one.name} not cached; unset it to make it")
    malloc.keep_memory()
    root = paths.runs()
    with lock(root, one.key):
        if run := find(one):
            return run
        start, code, commit = time.monotonic(), digest(one.kind), provenance.commit()
        with exact(), single_precision_by_default():
            tables = SIMULATIONS[one.kind].function(seed=one.seed, **dict(one.settings))
        columns = SIMULATIONS[one.kind].tables
        given, promised = ({name: list(rows) for name, rows in part.items()} for part in (tables, columns))
        if given != promised:
            raise InputError(f"simulation {one.kind} gives the columns {given}, its line says {promised}")
        made = provenance.provenance("cpu", time.monotonic() - start) | {"commit": commit, "code": code}
        facts = {"simulation": one.canonical(), "provenance": made}
        content = {f"{name}.parquet": _parquet(rows) for name, rows in tables.items()}
        content[CONFIG] = json.dumps(facts, indent=1).encode() + b"\n"
        return store.create(root / one.name, content)


def find(one: Simulation) -> store.Folder | None:
    """Folder of a simulation, if it is cached.

    Raises:
        InputError: It is damaged, or of another simulation than its name says.
    """
    return named.find(one, lambda run: config(run)["simulation"], "simulation")


def cached(kind: str) -> list[Simulation]:
    """The simulations of a kind that are cached, stale ones among them, in the order of their names.

    Raises:
        InputError: For an unknown kind, or a damaged run.
    """
    if kind not in SIMULATIONS:
        raise unknown("simulation", kind, SIMULATIONS)
    group = paths.runs() / GROUP
    folders = sorted(group.glob(f"{kind}-*")) if there(group) else []
    runs = (store.Folder(folder) for folder in folders if there(folder / store.MANIFEST))
    found = [described(config(run)["simulation"]) for run in runs]
    return [one for one in found if one and one.kind == kind]


def _rows(one: Simulation, table: str) -> pd.DataFrame:
    run, file = make(one), f"{table}.parquet"
    provenance.note(one, file)
    rows = _checked(run, file, SIMULATIONS[one.kind].tables[table])
    for place, (name, value) in enumerate(
        {"simulation": one.kind, "seed": one.seed, **dict(one.settings)}.items()
    ):
        rows.insert(place, name, value)
    return rows


def digest(kind: str) -> str:
    """Digest of the code that decides a kind of simulation."""
    return fingerprint.digest([SIMULATIONS[kind].function])


def config(run: store.Folder) -> dict[str, dict[str, Any]]:
    """The verified config.json of a simulation: "simulation" and "provenance".

    Raises:
        InputError: For any other file.
    """
    try:
        facts = parsed(run.read(CONFIG))
        check_fields("the file", facts, dict.fromkeys(("simulation", "provenance"), PART))
        check_fields("simulation", facts["simulation"], NAMED)
        check_fields("provenance", facts["provenance"], SIMULATED)
    except Unfit as error:
        raise damaged(run.path / CONFIG, str(error)) from None
    return facts


def described(facts: Mapping[str, Any]) -> Simulation | None:
    """The simulation of a canonical form that was read from JSON; None if the library has none such."""
    try:
        one = Simulation(facts["simulation"], facts["seed"], tuple(facts["settings"].items()))
    except (InputError, LookupError, TypeError, AttributeError):
        return None
    return one if json.loads(json.dumps(one.canonical())) == facts else None


def _check_tables(run: store.Folder, kind: str) -> None:
    """Raise InputError unless a simulation has just the tables of its kind, each with its columns."""
    tables = {f"{name}.parquet": columns for name, columns in SIMULATIONS[kind].tables.items()}
    if odd := sorted(run.files.keys() ^ {CONFIG, *tables}):
        what = (
            f"{'names' if odd[0] in run.files else 'does not name'} {odd[0]}, and the tables of {kind} are "
        )
        raise damaged(run.path / store.MANIFEST, what + ", ".join(sorted(tables)))
    for file, columns in tables.items():
        _checked(run, file, columns)


def _checked(run: store.Folder, file: str, columns: Mapping[str, Column]) -> pd.DataFrame:
    """The rows of a table of a simulation.

    Raises:
        InputError: It is damaged, or has other columns.
    """
    try:
        return checked_frame(run.read(file), columns)
    except Unfit as error:
        raise damaged(run.path / file, str(error)) from None


def row(run: store.Folder) -> dict[str, object]:
    """What the catalogue says of a simulation: columns of `catalogue.COLUMNS`.

    Raises:
        InputError: For a damaged file.
    """
    run.verify()
    facts = config(run)
    about, made = facts["simulation"], facts["provenance"]
    one = described(about)
    tables = sorted(file.removesuffix(".parquet") for file in run.files if file != CONFIG)
    found: dict[str, object] = {
        "dataset": GROUP,
        "model": about["simulation"],
        "alpha": math.nan,
        "seed": about["seed"],
        "recipe": "",
        "variant": one.words if one else "",
        "epochs": 0,
        "clean_accuracy": math.nan,
        "engine": "",
        "weights": False,
        "tables": ", ".join(tables),
        "status": "ok",
        "note": "",
    }
    found |= {name: made[name] for name in ("device", "commit", "torch", "seconds", "date")}
    if one is None:
        return found | {"status": "stale", "note": "the library has no such simulation any more"}
    if run.path != paths.runs() / one.name:
        return found | {
            "status": "damaged",
            "note": f"damaged: {run.path} holds the run {one.name}; give it its name back",
        }
    if made["code"] != digest(one.kind):
        note = "changed since it was made: code of the simulation; delete it to make it again"
        return found | {"status": "stale", "note": note}
    _check_tables(run, one.kind)
    return found
