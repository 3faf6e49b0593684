"""Tiny ImageNet, in the layouts it is found in."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from lib.data.files import listed, read_bytes, read_lines
from lib.data.images import Images, Published, Source, UnfitData, check_counts, verified
from lib.data.parquet import read_parquet
from lib.data.pictures import decode, largest_picture

# the classes, WordNet's identifiers, sorted: a class's label is its place here
_WNIDS = """
n01443537 n01629819 n01641577 n01644900 n01698640 n01742172 n01768244 n01770393 n01774384 n01774750
n01784675 n01855672 n01882714 n01910747 n01917289 n01944390 n01945685 n01950731 n01983481 n01984695
n02002724 n02056570 n02058221 n02074367 n02085620 n02094433 n02099601 n02099712 n02106662 n02113799
n02123045 n02123394 n02124075 n02125311 n02129165 n02132136 n02165456 n02190166 n02206856 n02226429
n02231487 n02233338 n02236044 n02268443 n02279972 n02281406 n02321529 n02364673 n02395406 n02403003
n02410509 n02415577 n02423022 n02437312 n02480495 n02481823 n02486410 n02504458 n02509815 n02666196
n02669723 n02699494 n02730930 n02769748 n02788148 n02791270 n02793495 n02795169 n02802426 n02808440
n02814533 n02814860 n02815834 n02823428 n02837789 n02841315 n02843684 n02883205 n02892201 n02906734
n02909870 n02917067 n02927161 n02948072 n02950826 n02963159 n02977058 n02988304 n02999410 n03014705
n03026506 n03042490 n03085013 n03089624 n03100240 n03126707 n03160309 n03179701 n03201208 n03250847
n03255030 n03355925 n03388043 n03393912 n03400231 n03404251 n03424325 n03444034 n03447447 n03544143
n03584254 n03599486 n03617480 n03637318 n03649909 n03662601 n03670208 n03706229 n03733131 n03763968
n03770439 n03796401 n03804744 n03814639 n03837869 n03838899 n03854065 n03891332 n03902125 n03930313
n03937543 n03970156 n03976657 n03977966 n03980874 n03983396 n03992509 n04008634 n04023962 n04067472
n04070727 n04074963 n04099969 n04118538 n04133789 n04146614 n04149813 n04179913 n04251144 n04254777
n04259630 n04265275 n04275548 n04285008 n04311004 n04328186 n04356056 n04366367 n04371430 n04376876
n04398044 n04399382 n04417672 n04456115 n04465501 n04486054 n04487081 n04501370 n04507155 n04532106
n04532670 n04540053 n04560804 n04562935 n04596742 n04597913 n06596364 n07579787 n07583066 n07614500
n07615774 n07695742 n07711569 n07715103 n07720875 n07734744 n07747607 n07749582 n07753592 n07768694
n07871810 n07873807 n07875152 n07920052 n09193705 n09246464 n09256479 n09332890 n09428293 n12267677
"""

TINY_IMAGENET_CLASSES = tuple(_WNIDS.split())

TINY_IMAGENET_PER_CLASS = {"train": 500, "test": 50}

# as Pillow decodes the published JPEGs with libjpeg-turbo, which its wheels contain
TINY_IMAGENET_CONTENT = {
    "train": "085e2caa586b39447eaf04216007d13f205803e85b573f59fcc102591375c4c9",
    "test": "604f1f1c5b643a9fa0ca67e5bdd5c8c2f9f9c43fc27759fb3f11036189cd5984",
}


def _published_tiny_imagenet(split: str) -> Published:
    title = f"Tiny ImageNet's {'train' if split == 'train' else 'validation'} split"
    return Published(
        title, 64, TINY_IMAGENET_CLASSES, TINY_IMAGENET_PER_CLASS[split], TINY_IMAGENET_CONTENT[split]
    )


def _annotations(file: Path) -> dict[str, str]:
    """{name of a validation picture: its class}, from one line per picture: name, class, corners of a box."""
    found: dict[str, str] = {}
    for number, line in enumerate(read_lines(file, 2**24), 1):
        parts = line.split()  # tabs, as published; no name holds a blank, so blanks for tabs mean the same
        if not parts:
            continue
        if len(parts) < 2:
            raise UnfitData(f"{file}, line {number}, has no class beside {parts[0][:80]!r}")
        name, wnid = parts[:2]
        if wnid not in TINY_IMAGENET_CLASSES:
            raise UnfitData(f"{file}, line {number}: {wnid[:80]!r} is not a class of Tiny ImageNet")
        if not re.fullmatch(r"\w[\w.-]*", name, re.ASCII):
            raise UnfitData(f"{file}, line {number}: {name[:80]!r} is no name of a picture")
        if name in found:
            raise UnfitData(f"{file}, line {number}, names {name} again")
        found[name] = wnid
    return found


def _tiny_imagenet_tree(tree: Path, split: str) -> Images:
    """Read the official tree: wnids.txt, ``train/<wnid>/images/*.JPEG``, val/val_annotations.txt,
    val/images/.
    """
    published = _published_tiny_imagenet(split)
    wnids = set(" ".join(read_lines(tree / "wnids.txt", 2**20)).split())
    if wnids != set(published.classes):
        odd = min(wnids ^ set(published.classes))
        fault = f"{odd[:80]!r} is {'not one of them' if odd in wnids else 'missing'}"
        raise UnfitData(
            f"{tree / 'wnids.txt'} does not name Tiny ImageNet's {len(published.classes)} classes: {fault}"
        )
    if split == "train":
        folders = [(tree / "train" / wnid / "images", wnid) for wnid in published.classes]
        files = [(file, wnid) for folder, wnid in folders for file in listed(folder, "*.JPEG")]
    else:
        named = _annotations(tree / "val" / "val_annotations.txt")
        files = [(tree / "val" / "images" / name, wnid) for name, wnid in named.items()]
    labels = np.array([published.classes.index(wnid) for _, wnid in files], np.int64)
    check_counts(labels, tree, published)
    limit = largest_picture(published.side)
    pixels = decode(((str(file), read_bytes(file, limit)) for file, _ in files), len(files), published.side)
    return Images(pixels, torch.from_numpy(labels), published.classes)


def tiny_imagenet_sources(root: Path, split: str) -> Iterator[Source]:
    """Where Tiny ImageNet may lie below a folder, and how each form of it is read."""
    published = _published_tiny_imagenet(split)
    # the test labels were never published: the validation set serves
    name = {"train": "train", "test": "valid"}[split]
    where = root / "tiny-imagenet" / f"{name}-*.parquet"
    parquet = listed(where.parent, where.name)
    yield Source(
        where, parquet, lambda: verified(read_parquet(parquet, "image", "label", published), where, published)
    )
    for tree in (root / "tiny-imagenet-200", root / "tiny-imagenet" / "tiny-imagenet-200"):
        files = [tree / "wnids.txt", tree / "val" / "val_annotations.txt"]
        if all(os.path.lexists(file) for file in files):
            # a picture added, removed or replaced changes its folder's date; 110,000 dates would take long
            pictures = [
                tree / "val" / "images",
                *(folder / "images" for folder in listed(tree / "train", "*")),
            ]
            files += [folder for folder in pictures if folder.is_dir()]
        else:
            files = []
        yield Source(
            tree, files, partial(lambda at: verified(_tiny_imagenet_tree(at, split), at, published), tree)
        )
