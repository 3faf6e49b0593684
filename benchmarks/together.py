"""Several networks at once on one device, three ways: one after the other, as many captured steps on as many
streams, or stacked under vmap.

python -m benchmarks.together decides whether the library trains more than one network at a time: only a way
that gives at least 1.3 times the images per second of one network after the other is worth its memory and its
shared failures. The losses of all ways are compared before anything is timed.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Annotated, NamedTuple

import torch
import typer
from torch import Tensor

from benchmarks import harness
from lib import models, selectivity
from lib.base.errors import InputError, unknown
from lib.models.precision import exact
from lib.training import augmentation
from lib.training.engine import Engine, best_engine
from lib.training.step import Session
from lib.training.training import Training

WORTH_IT = 1.3  # times the images per second of one network after the other
RATE = 0.05
COMPARED = 3  # steps, whose losses are compared
TOLERANCE = 0.02  # allowed difference of a loss near 2.3, in bfloat16

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Way(NamedTuple):
    """Networks under training: `step(i)` takes step i of every one, `losses()` are those of the last step,
    (networks,) float32.
    """

    step: Callable[[int], None]
    losses: Callable[[], Tensor]
    hooks: object = None  # objects that must live as long as the way


def in_turn(trainings: list[Training], engine: Engine) -> Way:
    """One network after the other takes its step, all on one stream: what training them one at a time
    costs.
    """
    sessions = [_session(training, engine) for training in trainings]

    def step(number: int) -> None:
        for session in sessions:
            session.step(number, RATE)

    return Way(step, lambda: torch.stack([session._last[0] for session in sessions]))


def on_streams(trainings: list[Training], engine: Engine) -> Way:
    """Each network on a stream of its own, with a captured step of its own; on a CPU, which has no streams,
    the same as in turn.
    """
    if engine.device != "cuda":
        return in_turn(trainings, engine)
    sessions, streams = (
        [_session(training, engine) for training in trainings],
        [torch.cuda.Stream() for _ in trainings],
    )
    for session, stream in zip(sessions, streams, strict=True):
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            session.step(0, 0.0)  # captures
    torch.cuda.synchronize()
    for training, session in zip(trainings, sessions, strict=True):
        session.start(training)
        session.begin_epoch(0)
    torch.cuda.synchronize()

    def step(number: int) -> None:
        for session, stream in zip(sessions, streams, strict=True):
            with torch.cuda.stream(stream):
                session.step(number, RATE)

    def losses() -> Tensor:
        torch.cuda.synchronize()
        return torch.stack([session._last[0] for session in sessions])

    return Way(step, losses)


def stacked(trainings: list[Training], engine: Engine) -> Way:
    """All networks as one, their parameters stacked: vmap of the gradient, and SGD written out; alpha is a
    vector.
    """
    sessions = [_session(training, replace(engine, compiled=False, captured=False)) for training in trainings]
    recipe, classes = trainings[0].settings, sessions[0].classes
    networks = [session.network for session in sessions]
    parameters, buffers = torch.func.stack_module_state(networks)
    parameters = {name: parameter.detach() for name, parameter in parameters.items()}
    momentum = {name: torch.zeros_like(parameter) for name, parameter in parameters.items()}
    alphas = torch.tensor([training.alpha for training in trainings], device=engine.device)
    base = models.build(trainings[0].model, classes).to(engine.device).train()
    hooks = ExitStack()
    means = hooks.enter_context(models.spatial_means(base))
    last: list[Tensor] = []

    def loss(own: dict, held: dict, x: Tensor, labels: Tensor, alpha: Tensor) -> tuple[Tensor, dict]:
        with torch.autocast(engine.device, torch.bfloat16, enabled=engine.low_precision):
            logits = torch.func.functional_call(base, (own, held), (x,))
        cross_entropy = torch.nn.functional.cross_entropy(logits.float(), labels)
        return cross_entropy - alpha * _mean_selectivity(means, labels, classes), held

    gradients = torch.vmap(torch.func.grad_and_value(loss, has_aux=True))
    if engine.compiled and engine.device == "cuda":
        gradients = torch.compile(gradients)

    def step(number: int) -> None:
        nonlocal buffers
        some = [[tensor[number * s.batch : (number + 1) * s.batch] for tensor in s.drawn] for s in sessions]
        pixels = [
            augmentation.crop_and_flip(s.pixels[rows], offsets, flips, s.training.augmentation.pad)
            for s, (rows, offsets, flips) in zip(sessions, some, strict=True)
        ]
        labels = torch.stack([s.labels[rows] for s, (rows, *_) in zip(sessions, some, strict=True)])
        found, (values, buffers) = gradients(
            parameters,
            buffers,
            models.to_unit(torch.stack(pixels).flatten(0, 1)).unflatten(0, labels.shape),
            labels,
            alphas,
        )
        last[:] = [values]
        names = list(parameters)
        grads, weights, speeds = ([table[name] for name in names] for table in (found, parameters, momentum))
        torch._foreach_add_(grads, weights, alpha=recipe.weight_decay)
        torch._foreach_mul_(speeds, recipe.momentum)
        torch._foreach_add_(speeds, grads)
        torch._foreach_add_(weights, speeds, alpha=-RATE)

    return Way(step, lambda: last[0], hooks)


def _mean_selectivity(layers: dict[str, Tensor], labels: Tensor, classes: int) -> Tensor:
    """`selectivity.mean_selectivity`, without one_hot, which vmap cannot take."""
    members = (labels[:, None] == torch.arange(classes, device=labels.device)).float()  # (n, classes)
    counts = members.sum(0)
    means = (members / counts.clamp(min=1)).T @ torch.cat(list(layers.values()), 1)
    index = selectivity.selectivity_index(means, counts > 0)
    return torch.stack([
        layer.mean() for layer in index.split([layer.shape[1] for layer in layers.values()])
    ]).mean()


def _session(training: Training, engine: Engine) -> Session:
    session = Session(training, engine)
    session.begin_epoch(0)
    return session


WAYS = {"one after the other": in_turn, "on streams": on_streams, "stacked": stacked}


def trainings(training: Training, count: int) -> list[Training]:
    """Networks that differ in alpha and seed."""
    alphas = itertools.cycle([-1.0, 0.0, 0.5, 1.0, -2.0, -0.4, 0.2, 2.0])
    return [
        replace(training, alpha=alpha, seed=seed) for seed, alpha in zip(range(count), alphas, strict=False)
    ]


def disagreement(ways: dict[str, Way]) -> str | None:
    """One line on the first loss of the first steps that differs from that of one network after the other;
    None if none does.
    """
    expected = {}
    for name, way in ways.items():
        for number in range(COMPARED):
            way.step(number)
            losses = way.losses()
            difference = (losses - expected.setdefault(number, losses)).abs().max().item()
            if not difference <= TOLERANCE:
                return f"{name}: a loss of step {number + 1} is off by {difference:.2g}"
    return None


@app.command()
def together(
    device: Annotated[str, typer.Option(help="cpu or cuda; the GPU if there is one and it is left out")] = "",
    networks: Annotated[list[int], typer.Option(help="how many at once; may be given several times")] = (
        1,
        4,
        8,
    ),
    steps: Annotated[int, typer.Option(min=1, help="in one measurement")] = 50,
    repeats: Annotated[int, typer.Option(min=1, help="measurements of each way, taken in turn")] = 5,
    dataset: Annotated[str, typer.Option(help="cifar10, or digits to rehearse")] = "cifar10",
) -> None:
    """Images per second of several networks trained at once, three ways, and which of them is worth it
    here.
    """
    device = device or harness.devices()[-1]
    if device not in harness.devices():
        raise unknown("device", device, harness.devices())
    training = Training(
        dataset, {"cifar10": "resnet20", "digits": "resnet8"}.get(dataset, "resnet18"), recipe="paper"
    )
    engine = best_engine(training, device=device)
    if dataset == "digits":
        engine = Engine(device, low_precision=False, compiled=False, captured=device == "cuda")
    read, clock = harness.reader(device)
    print(
        f"{training.model} on {dataset}, batch {training.settings.batch}, {engine}, {clock}, "
        f"{repeats} measurements of {steps} steps"
    )
    best = (1.0, "one after the other", 1)
    for count in networks:
        rates = _rates(trainings(training, count), engine, steps, repeats, read)
        for name, rate in rates.items():
            ratio = rate / rates["one after the other"]
            print(f"{count} at once, {name:<20} {rate:>10,.0f} images/s  {ratio:.2f}")
            best = max(best, (ratio, name, count))
    keep = (
        f"train {best[2]} {best[1]}: {best[0]:.2f} times"
        if best[0] >= WORTH_IT
        else f"train one after the other: nothing gives {WORTH_IT} times"
    )
    print(keep)


def _rates(
    chosen: list[Training], engine: Engine, steps: int, repeats: int, read: Callable[[], float]
) -> dict[str, float]:
    with exact(fastest=engine.captured), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*performance drop.*")  # vmap's, which is what is measured
        ways = {name: make(chosen, engine) for name, make in WAYS.items()}
        if found := disagreement(ways):
            raise InputError(f"no rates, the ways do not compute the same: {found}")
        taken: dict[str, list[float]] = {name: [] for name in ways}
        length = _epoch(chosen[0])
        for _ in range(repeats):
            for name, way in ways.items():
                start = read()
                for number in range(steps):
                    way.step(number % length)
                way.losses()
                taken[name].append(read() - start)
    images = steps * len(chosen) * chosen[0].settings.batch
    return {name: images / statistics.median(times) for name, times in taken.items()}


def _epoch(training: Training) -> int:
    return Session(training, Engine("cpu", low_precision=False, compiled=False)).steps


def main() -> None:
    """Run the command line; every InputError is one line on stderr and exit code 2."""
    try:
        sys.exit(app(standalone_mode=False))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
