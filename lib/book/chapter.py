"""What chapters call: their parameters checked, numbers of the networks that are cached, and words and tables of their text."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import pandas as pd

from lib import accuracy, diagnosis, effects, layers, measurements, models, paths, readlog, recipes, robustness, runs, selectivity, store, words
from lib.errors import InputError

VARIANTS = ("plain", "augmix", "pgd-1", "pgd-2", "pgd-4")  # of the chapter that compares ways of training, and of the ledger


# ---- parameters ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Parameters:
    """What chapters take, checked: the grid of networks they show. `epochs`, `variants` and `pgd_seeds` are taken by those alone that compare ways of
    training."""

    dataset: str
    model: str
    alphas: tuple[float, ...]
    seeds: tuple[int, ...]
    recipe: str
    epochs: int | None = None  # None: the recipe's own
    variants: tuple[str, ...] = ()
    pgd_seeds: tuple[int, ...] | None = None  # of PGD training, some of `seeds`; None: all of them

    @property
    def setting(self) -> str:
        """What stands beside a result: network, data set, recipe, epochs where they are not the recipe's, and number of seeds."""
        seeds = _seeds(self.seeds)
        own = recipes.RECIPES[self.recipe][self.model].epochs
        start = f"{self.model} on {self.dataset}, {self.recipe} recipe" + (f" with {self.epochs} instead of {own} epochs" if self.epochs else "")
        if not self.variants:
            return f"{start}, {seeds} for each α"
        alphas = ", ".join(map(words.number, self.alphas))
        each = f"{seeds} for each way of training" + (" and α" if len(self.alphas) > 1 else "")
        fewer = self.pgd_seeds is not None and set(self.pgd_seeds) != set(self.seeds)
        return f"{start}, α = {alphas}, {each}" + (f", {_seeds(self.pgd_seeds)} of PGD training" if fewer else "")

    @property
    def trainings(self) -> list[runs.Training]:
        grid = {"alphas": self.alphas, "seeds": self.seeds, "epochs": self.epochs, "variants": self.variants or ("plain",)}
        found = runs.grid(dataset=self.dataset, model=self.model, recipe=self.recipe, **grid)
        return [one for one in found if self.pgd_seeds is None or one.seed in self.pgd_seeds or not effects.strength(one.variant) > 0]

    @property
    def with_variants(self) -> Parameters:
        """The same with α = 0 and the usual ways of training, as the chapter that compares them has by default."""
        return replace(self, alphas=(0.0,), variants=VARIANTS, epochs=_epochs(self.dataset, self.model, self.recipe, 0))


def _seeds(seeds: tuple[int, ...]) -> str:
    return "1 seed" if len(seeds) == 1 else f"{len(seeds)} seeds"


def on_digits() -> Parameters:
    """The small networks that chapters show beside the others: all that `sweeps/digits.yml` makes."""
    return Parameters("digits", "resnet8", alphas=(-2.0, -1.0, -0.4, 0.0, 0.4, 1.0, 2.0), seeds=(0, 1, 2), recipe="fast")


def _epochs(dataset: str, model: str, recipe: str, chosen: object) -> int | None:
    """Epochs as a Training has them, None for the recipe's own; 0 means half of these in the fast recipe, where PGD takes long, else all of them."""
    if isinstance(chosen, bool) or not isinstance(chosen, int) or chosen < 0:
        raise InputError(f"parameter 'epochs' must be a whole number, or 0 for the chapter's own choice, got {chosen!r}")
    own = runs.Training(dataset, model, recipe=recipe).settings.epochs
    chosen = chosen or (own // 2 if recipe == "fast" else own)
    return None if chosen == own else chosen


def _variants(names: object) -> tuple[str, ...]:
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise InputError(f"parameter 'variants' must be a list such as ['plain', 'pgd-4'], got {names!r}; with papermill: -y 'variants: [plain, pgd-4]'")
    if "plain" not in names:
        raise InputError(f"parameter 'variants' must hold 'plain', which the others are compared with, got {names!r}")
    return tuple(dict.fromkeys(names))


def _items(name: str, value: object, kind: type) -> tuple:
    """A list parameter's items as numbers; text in place of a list is papermill's -p, which cannot pass lists."""
    if not isinstance(value, list | tuple) or not value:
        raise InputError(f"parameter {name!r} must be a list such as [-1.0, 0.0], got {value!r}; papermill passes lists with -y '{name}: [...]', not with -p")
    items = []
    for item in value:
        try:
            if isinstance(item, bool) or kind(item) != float(item):
                raise ValueError
        except (TypeError, ValueError):
            raise InputError(f"parameter {name!r} must hold {'whole ' if kind is int else ''}numbers, got {item!r}") from None
        items.append(kind(item))
    return tuple(dict.fromkeys(items))


def parameters(namespace: Mapping[str, object]) -> Parameters:
    """Check a chapter's parameters; called with globals() in the cell after the tagged one. From here on it is recorded which runs the chapter reads.

    Papermill only warns of a name that the chapter does not know. Here it is an error: whatever the namespace holds beyond the annotated names
    of the parameters cell was injected.

    raises  InputError for an unknown parameter, a wrong type, a value out of range, or a model that does not fit the data set
    """
    known = namespace.get("__annotations__", {})
    own = {"In", "Out", "exit", "quit", "open", "get_ipython"}  # IPython's
    for name, value in namespace.items():
        if not name.startswith("_") and name not in own and name not in known and not isinstance(value, types.ModuleType):
            raise InputError(f"unknown parameter {name!r}; this chapter takes {', '.join(sorted(known))}")
    dataset, model = namespace["dataset"], namespace["model"]
    if not isinstance(dataset, str):
        raise InputError(f"parameter 'dataset' must be a name, got {dataset!r}")
    model = recipes.usual_model(dataset) if model == "usual" else model
    given = Parameters(
        dataset=dataset,
        model=model,
        alphas=_items("alphas", namespace["alphas"], float),
        seeds=_items("seeds", namespace["seeds"], int),
        recipe=namespace["recipe"],
        epochs=_epochs(dataset, model, namespace["recipe"], namespace["epochs"]) if "epochs" in known else None,
        variants=_variants(namespace["variants"]) if "variants" in known else (),
        pgd_seeds=_items("pgd_seeds", namespace["pgd_seeds"], int) if "pgd_seeds" in known else None,
    )
    if given.pgd_seeds and (alone := [seed for seed in given.pgd_seeds if seed not in given.seeds]):
        raise InputError(f"parameter 'pgd_seeds' must hold some of 'seeds', whose plain networks PGD training is compared with, got {alone[0]}; give both")
    _ = given.trainings  # raises for what does not fit together
    readlog.start()
    return given


# ---- words and tables of the chapters --------------------------------------------------------------------------------


def hyperparameters(training: runs.Training) -> pd.DataFrame:
    """One row a hyper-parameter: what it is here, and how sure we are that the paper did the same."""
    recipe, augmentation = training.settings, training.augmentation
    steps = (
        f"×0.1 after epochs {', '.join(map(str, recipe.milestones))}"
        if recipe.milestones
        else f"one cycle: linear up over {recipe.warm:.0%} of the steps, linear down to 0"
    )
    values = {
        "optimiser": f"SGD, momentum {recipe.momentum:g}, weight decay {recipe.weight_decay:g}",
        "epochs": f"{recipe.epochs}",
        "minibatch": f"{recipe.batch}",
        "learning rate": f"{recipe.learning_rate:g}, {steps}",
        "validation": f"{recipe.validation:.0%} of each class of the training set",
        "checkpoint": "epoch of the best validation accuracy",
        "augmentation": ("horizontal flip, " if augmentation.flip else "") + f"random crop after padding with {augmentation.pad} black pixels",
        "normalisation": f"mean {models.MEAN}, deviation {models.STD}, inside the network",
        "network": training.model,
        "units": "every ReLU output, averaged over space",
        "index": f"ε = {selectivity.EPSILON:g}",
        "last incomplete minibatch": "left out",
        "weights": "float16 matrices, float32 vectors",
    }
    ours = {"optimiser", "epochs", "minibatch", "learning rate"} if training.recipe == "fast" else set()
    rows = [(name, value, recipes.FAST if name in ours else recipes.PROVENANCE[name]) for name, value in values.items()]
    return pd.DataFrame(rows, columns=["", "here", "as in the paper?"])


def cached(measurement: str, trainings: list[runs.Training], **settings: object) -> pd.DataFrame:
    """Like `runs.table`, of those trainings alone that it is cached for; no rows at all where there are none. Nothing is made.

    raises  InputError for a damaged file
    """
    file, missing = measurements.file_name(measurement, settings), set(runs.missing(trainings))
    there = [training for training in trainings if training not in missing and file in store.Folder(paths.runs() / training.name)]
    return runs.table(measurement, there, **settings) if there else pd.DataFrame()


def at_hand(trainings: list[runs.Training]) -> pd.DataFrame:
    """`runs.summary` of what is cached and measured; a training that is not is a row without numbers. Nothing is made.

    raises  InputError for a damaged file
    """
    missing, units = set(runs.missing(trainings)), measurements.file_name("selectivity", {})
    there = [training for training in trainings if training not in missing and units in store.Folder(paths.runs() / training.name)]
    wanted = pd.DataFrame([recipes.labels(training) for training in trainings])
    if there:
        return wanted.merge(runs.summary(there), how="left", on=list(wanted))
    return wanted.assign(**dict.fromkeys(["clean_accuracy", "mean_selectivity", "live_selectivity", "dead"], float("nan")))


def measured(summary: pd.DataFrame, trainings: list[runs.Training]) -> pd.DataFrame:
    """A summary with all that claims need of other tables, from what is cached; NaN where a network has no such table."""
    summary = accuracy.with_corrupted(summary, cached("corruption", trainings))
    radius = robustness.strengths(trainings[0].dataset).ball
    attack, transfer, autoattack = cached("attack", trainings), cached("transfer", trainings), cached("autoattack", trainings, epsilon=radius)
    summary = robustness.with_attacked(summary, attack)
    summary = robustness.with_transferred(summary, transfer)
    summary = robustness.with_autoattack(summary, autoattack)
    summary = diagnosis.with_doubt(summary, attack, transfer, autoattack)
    summary = robustness.with_jacobian(summary, cached("jacobian", trainings))
    summary = layers.with_gradients(summary, cached("gradient", trainings))
    return layers.with_dimensions(summary, cached("dimensionality", trainings))


def number(value: float, form: str = ".3f") -> str:
    """A number in prose, with a true minus sign; NaN stands for networks that a chapter was not asked to show."""
    return "(not shown here)" if pd.isna(value) else words.number(value, form)


def numbers_at(places: Mapping[str, float], *tables: tuple[pd.DataFrame, str]) -> Iterator[tuple[str, str]]:
    """What a chapter glues of some α: (name, words) for each of them, and for each column of each table at them.

    places  {name: α}: glued as `name`
    tables  (a row an α, format): a column is glued as `name-column`; NaN where it has no row for an α
    """
    for name, alpha in places.items():
        yield name, number(alpha, "g")
        for rows, form in tables:
            yield from ((f"{name}-{column}", number(rows[column].get(alpha, float("nan")), form)) for column in rows)


def machines(summary: pd.DataFrame) -> str:
    """What the networks of a `runs.summary` table were trained on."""
    return words.machines(summary.device.dropna())


def rising(values: pd.Series) -> str:
    """Whether values rise from each to the next, in words."""
    if len(values) < 2:
        return "with nothing to compare it with"
    return "rising at every step" if (values.diff().iloc[1:] > 0).all() else "not rising at every step"


def change_by_layer(units: pd.DataFrame, variant: str) -> str:
    """How a variant's live units differ from the plain network's, layer by layer, in words; means over seeds.

    units  a `selectivity` table of networks of one alpha
    """
    means = units[~units.dead].groupby(["variant", "depth"]).selectivity.mean().unstack("variant").reindex(columns=["plain", variant])
    change = (means[variant] - means.plain).dropna()
    if change.empty or variant == "plain":
        return "no other network is shown here"
    most = change.abs().idxmax()
    return f"lower in {(change < 0).sum()} of {len(change)} layers; the largest difference is {number(change[most], '+.3f')}, in layer {most}"


def gains(summary: pd.DataFrame, column: str) -> str:
    """What each other way of training gains over plain training, in words: points of a column of shares, means over the seeds that both have.

    summary  networks of one alpha
    """
    wide = summary.pivot(index="seed", columns="variant", values=column)
    change = wide.sub(wide["plain"], axis=0).mean().mul(100).reindex(summary.variant.unique()).drop("plain").dropna()
    return ", ".join(f"{number(value, '+.1f')} ({words.variant_name(variant)})" for variant, value in change.items()) or "no other network has been measured"


def _pixels(value: float) -> str:
    return f"{255 * value:.0f}/255" if round(255 * value, 9).is_integer() else f"{value:g}"


def variant_settings(trainings: list[runs.Training]) -> pd.DataFrame:
    """One row a setting that these trainings have beside the recipe, and how sure we are that the paper did the same."""
    recipe, own = trainings[0].settings, recipes.RECIPES[trainings[0].recipe][trainings[0].model].epochs
    rows = [("epochs", f"{recipe.epochs}", "as the recipe" if recipe.epochs == own else f"choice: in place of the recipe's {own}, whose schedule is scaled")]
    rows += [("checkpoint", "epoch of the best validation accuracy on unperturbed images", "recalled; that the images are unperturbed is our choice")]
    found = {training.variant_settings: None for training in trainings}
    attacks = sorted((one for one in found if isinstance(one, recipes.Adversarial)), key=lambda one: one.steps)
    for mix in (one for one in found if isinstance(one, recipes.AugMix)):
        depth = "1 to 3" if mix.depth == -1 else f"{mix.depth}"
        rows += [
            ("AugMix: mixture", f"{mix.width} chains of {depth} operations", "recalled, weakly; established default of AugMix's own code"),
            ("AugMix: severity", f"{mix.severity:g}", "recalled, weakly; AugMix's own code has 3, established there"),
            ("AugMix: consistency", "Jensen-Shannon divergence of three predictions", "recalled, weakly; on in AugMix's own code, established there"),
            ("AugMix: its weight", f"{mix.jsd:g}", "choice, as recalled of AugMix's own code"),
            ("AugMix: applied to", "images already flipped and cropped, as the recipe has it", "choice"),
        ]
    if attacks:
        size, most = attacks[0].step_size, attacks[-1].steps * attacks[-1].step_size
        reach = f", of which at most {_pixels(most)} is reached" if most < attacks[0].epsilon else ""
        rows += [
            ("PGD: steps", ", ".join(f"{one.steps}" for one in attacks), "choice; that strength is the number of steps is recalled"),
            ("PGD: step size", _pixels(size), "recalled" if size == recipes.PGD_STEP["paper"] else "choice; 0.0001 is recalled"),
            ("PGD: budget", f"{_pixels(attacks[0].epsilon)}, L∞{reach}", "recalled"),
            ("PGD: pixels", "in [0, 1], and clipped to it", "choice"),
            ("PGD: start", "the image itself, no random start", "choice"),
            ("PGD: network while attacking", "evaluation mode: running statistics in batch norm", "choice"),
            ("PGD: trained on", "adversarial images alone, made anew at every minibatch", "choice"),
        ]
    return pd.DataFrame(rows, columns=["", "here", "as in the paper?"])
