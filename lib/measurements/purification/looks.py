"""What networks look for, as pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pandas as pd
import torch
from PIL import Image
from torch import Tensor, nn

from lib import models
from lib.data.images import Images
from lib.measurements.measurement import COUNT, PICTURE, SHARE, TEXT
from lib.measurements.purification.dictionaries import perturbed
from lib.purification import convolutional_coding as coding
from lib.purification import pictures

# `relu` is the layer of a unit, "" for what is no unit; `colour` and `strongest` are of filters alone
PICTURES_TABLE = {
    "kind": TEXT,
    "relu": TEXT,
    "place": COUNT,
    "colour": SHARE,
    "strongest": SHARE,
    "png": PICTURE,
}
FILTER, EXCITES, SEEN, PERTURBED = "filter", "unit", "image", "perturbation"
BRIGHTER = 5  # times, as the paper shows perturbations


def look(
    network: nn.Module,
    images: Images,
    *,
    units: Sequence[int],
    rounds: int,
    steps: int,
    limit: int,
    radius: float,
    attack_steps: int,
) -> pd.DataFrame:
    """What a network looks for, as pictures: the filters of its first convolution; images that excite units
    of a layer in the middle and of the last one, the same ones in every network; and PGD's perturbations of
    some images.

    Args:
        units: Which units.
        rounds, steps: Of the search for an image, as `lib.purification.maximised` has them.
        limit: Number of test images that are shown with their perturbations.
        radius, attack_steps: Of PGD in the L2 ball.

    Returns:
        One row per picture, with the columns kind ("filter", "unit", "image" or "perturbation"), relu (the
        unit's layer, else empty), place (of the filter, unit or image), colour and strongest (of a filter:
        the share of its squared length that is colour, and that in its strongest cosine) and png.
        Perturbations are five times as strong, around grey; a filter is stretched to the whole range.
    """
    device, some = models.evaluated(network), images.first(limit)
    weight = next(module for module in network.modules() if isinstance(module, nn.Conv2d)).weight
    own = weight.detach().float().cpu()
    facts = zip(coding.colour_share(own).tolist(), coding.strongest_cosine(own).tolist(), strict=True)
    rows = [
        _picture(FILTER, "", place, picture, colour, strongest)
        for place, (picture, (colour, strongest)) in enumerate(
            zip(pictures.first_filters(network), facts, strict=True)
        )
    ]
    names = list(models.relu_layers(network))
    for name in dict.fromkeys((names[len(names) // 2], names[-1])):
        found = pictures.maximised(
            network,
            name,
            list(units),
            side=images.pixels.shape[-1],
            generator=torch.Generator().manual_seed(0),
            rounds=rounds,
            steps=steps,
        )
        rows += [_picture(EXCITES, name, unit, one) for unit, one in zip(units, found, strict=True)]
    perturbations = perturbed(network, some, device, radius=radius, steps=attack_steps)
    for kind, shown in ((SEEN, models.to_unit(some.pixels)), (PERTURBED, 0.5 + BRIGHTER * perturbations)):
        rows += [_picture(kind, "", place, one) for place, one in enumerate(shown)]
    return pd.DataFrame(rows, columns=list(PICTURES_TABLE))


def _picture(
    kind: str,
    relu: str,
    place: int,
    picture: Tensor,
    colour: float = float("nan"),
    strongest: float = float("nan"),
) -> tuple[object, ...]:
    file = io.BytesIO()
    values = (picture.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu()
    Image.fromarray(values.numpy()).save(file, "PNG")
    return kind, relu, place, colour, strongest, file.getvalue()
