# %% [markdown]
# # Rerun it with your own α
#
# **Key points**
#
# - From a clone to a figure with an α of your own in it is one command: about five minutes on digits, most of it installing and building pages.
# - The same command does it for CIFAR-10, on a CPU or a GPU; it says how long the training will take before it starts.
# - A rerun keeps what is cached, trains what is missing, and its page opens with a table that says which is which.
#
# *Run time: seconds. Every command on this page is run by a test; those that are marked are only checked as far as any machine can.*

# %% tags=["parameters", "remove-input"]
dataset: str = "cifar10"  # cifar10, digits or tiny-imagenet; all show the same here
model: str = "usual"  # the data set's usual network
alphas: list[float] = [0.0]  # not used here
seeds: list[int] = [0]  # not used here
recipe: str = "fast"  # fast or paper

# %% tags=["remove-input"]
from lib.book import chapter, figures
from lib.runs import durations

here = chapter.parameters(globals())
from lib.book.prose import glue
from lib.training.datasets import usual_model
from lib.training.recipe import RECIPES

training, measuring = durations.training(), durations.measuring()

# %% tags=["remove-input"]
for name, attacks in (("digits", "attack"), ("cifar10", "image_attack")):
    epochs = RECIPES["fast"][usual_model(name)].epochs
    usual = durations.said(
        training[
            (training.dataset == name)
            & (training.recipe == "fast")
            & (training.variant == "plain")
            & (training.epochs == epochs)
        ]
    )
    glue(
        f"{name}-training",
        "; ".join(f"{one['each takes']} ({one.device})" for _, one in usual.iterrows()),
    )
    attack = durations.said(
        measuring[(measuring.dataset == name) & (measuring.measurement == attacks)]
    )
    glue(
        f"{name}-attack",
        "; ".join(
            f"{one['each takes']} ({one.device})" for _, one in attack.iterrows()
        ),
    )
on_gpu = int(training[training.engine.str.startswith("cuda")].networks.sum())
glue("gpu", f"{on_gpu or 'None'} of the {int(training.networks.sum())} cached networks")

# %% [markdown]
# ## Five minutes: your α in a figure, on digits
#
# Only git, make and Python are needed; everything else is installed into the folder `.venv` by the first `make`. REPOSITORY is this book's address.
#
# ```{code-block} bash
# :class: needs-network
# git clone REPOSITORY selectivity-book
# cd selectivity-book
# make env
# ```
#
# Then one command. It trains {term}`networks <run>` with α = 0.7 for every seed that the others have, and builds the chapter with them in it:
#
# ```bash
# make rerun CHAPTER=approach ALPHA=0.7 DATASET=digits
# ```
#
# One such network took {glue:text}`digits-training`. The last line that is printed is the address of the page; open it in a browser. It begins with what was
# made now and what came from the cache, and the new α stands in each figure, in its own colour. The published chapters stay as they are.
#
# The same command again trains nothing. It can be stopped at any moment, and goes on from there. Reruns keep what they make in a store of their own, `reruns/`,
# which reads the published runs and leaves them as they are. What is in it now:
#
# ```bash
# RUNS_DIR=reruns .venv/bin/python -m lib runs
# RUNS_DIR=reruns .venv/bin/python -m lib table selectivity --csv > selectivity.csv
# ```
#
# Any chapter can be named in place of `approach`, by its number, its name or its file; `ALPHA="0.3, 0.7"` gives several, `SEED=0` limits the seeds.
# What a chapter needs to have measured on the new networks is measured: attacks on one network took {glue:text}`digits-attack`.
#
# ```{code-block} bash
# :class: needs-time
# make rerun CHAPTER=worst-case ALPHA="0.3, 0.7" SEED=0 DATASET=digits
# ```
#
# ## CIFAR-10
#
# The data set is looked for in `$DATA_DIR`, or in `data/`, and can be fetched:
#
# ```{code-block} bash
# :class: needs-network
# .venv/bin/python -m lib data cifar10 --download
# ```
#
# Without `DATASET` a chapter is rerun on its own data: CIFAR-10, but for *Purification in image networks*, which is on the digits so far. On a CPU one network of the `fast` recipe took {glue:text}`cifar10-training`, the attacks on it
# {glue:text}`cifar10-attack`.
#
# ```{code-block} bash
# :class: needs-cifar10
# make rerun CHAPTER=approach ALPHA=0.7 SEED=3
# make rerun CHAPTER=worst-case ALPHA=0.7 SEED=3
# ```
#
# On a GPU the commands are the same: one is used where there is one. The paper's recipe is long enough to want it:
#
# ```{code-block} bash
# :class: needs-gpu
# make rerun CHAPTER=approach ALPHA=0.7 SEED=3 RECIPE=paper
# ```
#
# This trains every α of the chapter with that recipe, not only the new one: it is another grid. Whatever the machine, the command estimates the time from a few
# steps made there, and prints it before it begins.
#
# ## How long it took here
#
# Times of the networks in the cache. Trained on a GPU: {glue:text}`gpu`. *Range* is from the quickest to the slowest; the machines were shared.

# %% tags=["remove-input"]
figures.show_table(durations.said(training))

# %% [markdown]
# And of the measurements on them:

# %% tags=["remove-input"]
figures.show_table(durations.said(measuring))

# %% [markdown]
# ## By hand: plain papermill
#
# A chapter is a notebook with parameters, and papermill can run it. Lists go through `-y`. A mistyped name is an error.
#
# ```bash
# source .venv/bin/activate
# RUNS_DIR=reruns papermill chapters/02-approach.ipynb mine.ipynb -p dataset digits -y 'alphas: [-1.0, 0.0, 0.7]' -y 'seeds: [0]'
# python -m lib numbers mine.ipynb
# ```
#
# Papermill renews figures and tables; the last line writes the new numbers into the sentences. `RUNS_DIR` puts the store elsewhere, and `RUNS_FROZEN=1` makes a missing run an
# error.
#
# Or from Python, where a trained network is an ordinary `nn.Module` and a measurement an ordinary table:
#
# ```python
# import os
#
# os.environ["RUNS_DIR"] = "reruns"  # the store of reruns
# from lib import runs
#
# training = runs.Training("digits", "resnet8", alpha=0.7, seed=0, recipe="fast")
# network, units = runs.load(training), runs.table("selectivity", [training])
# ```
#
# ## Many networks: a sweep
#
# A file in `sweeps/` names a grid of networks and what is measured on them. This one is in the cache already, so it has nothing to do:
#
# ```bash
# .venv/bin/python -m lib sweep sweeps/digits.yml
# ```
#
# Parts of a sweep can be made on different machines, and within a budget of minutes; what is finished is packed and brought home:
#
# ```bash
# .venv/bin/python -m lib sweep sweeps/digits.yml --shard 1/3 --budget 5 --pack _build/part.tar
# RUNS_DIR=_build/another-store .venv/bin/python -m lib runs import _build/part.tar
# ```
#
# ## A cluster
#
# `--engine local` shares a sweep among processes on this machine, as many as it has cores or GPUs; they end with the command, and the same command goes on.
#
# ```bash
# .venv/bin/python -m lib sweep sweeps/digits.yml --engine local
# ```
#
# `--engine slurm` hands it to Slurm as one array, a job for each missing network; the store must lie where all nodes see it. The command waits for the jobs;
# stopped and called again it waits on. What a job asks for is said with Slurm's own variables, such as `SBATCH_PARTITION` or `SBATCH_TIMELIMIT`.
#
# ```{code-block} bash
# :class: needs-cluster
# SBATCH_GPUS=1 .venv/bin/python -m lib sweep sweeps/cifar10-paper.yml --engine slurm
# SBATCH_GPUS=1 .venv/bin/python -m lib sweep sweeps/cifar10-augmix-pgd-paper.yml --engine slurm --shard 1/2
# ```
#
# ## The whole book
#
# What was made becomes part of a chapter's defaults only by its source: put your α into the `parameters` cells, then
#
# ```{code-block} bash
# :class: needs-time
# make chapters
# make book
# make test
# ```
#
# Every option of every command: {doc}`../reference/command-line`. What lies in a run's folder: {doc}`../reference/run-files`.
