"""AutoAttack's own verdict on a network: four attacks without parameters, one of which sees no gradient."""

from __future__ import annotations

import pandas as pd
import torch
from torch import nn

from lib import models
from lib.attacked import CLEAN, recognised
from lib.data import Images
from lib.errors import InputError
from lib.whitebox import still

PARTS = ("apgd-ce", "apgd-t", "fab-t", "square")  # standard AutoAttack, in its order


def autoattack(network: nn.Module, images: Images, *, limit: int, epsilon: float, seed: int) -> pd.DataFrame:
    """One row a part and class: part ("clean", then those of the standard version in order), epsilon, class, images, standing (after this part and all before).

    limit    the first so many images; 0: all
    epsilon  radius of the L-infinity ball, pixels in [0, 1]
    seed     of its random starts
    raises   InputError where pyautoattack, an optional extra, is not installed, or for fewer than four classes, which its loss cannot do with
    source   Croce & Hein 2020, arXiv 2003.01690; fewer than ten classes have fewer targets
    """
    if len(images.classes) < 4:
        raise InputError(f"AutoAttack's targeted loss needs at least 4 classes, got {len(images.classes)}")
    try:
        from pyautoattack import AutoAttack
    except ImportError:
        raise InputError("AutoAttack needs pyautoattack: uv sync --extra autoattack") from None
    some, device = images.first(limit), models.evaluated(network)
    labels, classes = some.labels.to(device), len(some.classes)
    x = models.to_unit(some.pixels.to(device))
    sizes = some.labels.bincount(minlength=classes)
    there = recognised(network, x, labels).nonzero().flatten()
    rows = []
    for part in (CLEAN, *PARTS):
        if part != CLEAN and len(there):
            runner = AutoAttack(network, norm="Linf", eps=epsilon, seed=seed, device=device)
            runner.verbose, runner.attacks_to_run = False, [part]
            for one in (runner.apgd_targeted, runner.fab):
                one.n_target_classes = min(9, classes - 1)
            # it seeds the global generator
            with still(network), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
                found, _ = runner.run_standard_evaluation(x[there], labels[there], batch_size=250)
            there = there[recognised(network, found, labels[there])]
        left = labels[there].bincount(minlength=classes).cpu()
        rows.append(pd.DataFrame({"part": part, "epsilon": epsilon, "class": list(some.classes), "images": sizes, "standing": left}))
    return pd.concat(rows, ignore_index=True)
