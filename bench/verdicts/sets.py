"""The sets of trainings: the first two, on which rules are chosen, and the last, on which they are tested. Apart from
the corpora they differ in everything: seeds, shapes, batches, vocabulary, optimisers and rates.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Set:
    """Grids and faults over corpora, sizes and seeds."""

    labels: str  # The file of labels, beside this one.
    seeds: tuple
    rows: int
    unroll: int
    types: int
    probes: int
    sizes: dict
    # Rates by size and (optimiser, clipping norm; 0: none), from far too low to far too high, densest around the limit.
    grids: dict
    # Changes to otherwise sound trainings: to the tables `train` or `batch`, or to the text.
    faults: dict


# Faults of the data, which are labelled `data_fault` whatever the outcome.
DATA = {"sliding", "sliding-adam", "shuffled", "corrupted", "corrupted-adam", "tiny-corpus"}


def faults(descent, moments, rate, clip=0.0):
    """Faults under plain descent, at a rate that is sound without them, and under an optimiser with moments, at 0.003
    (0.01 for the tiny corpus).
    """
    descent = {"optimizer": descent, "learning_rate": rate, "clip_norm": clip}
    moments = {"optimizer": moments, "learning_rate": 0.003}
    return {
        "sliding": descent | {"batch": {"layout": "sliding"}},
        "sliding-adam": moments | {"batch": {"layout": "sliding"}},
        "shuffled": descent | {"text": "shuffled"},
        "corrupted": descent | {"text": "corrupted"},
        "corrupted-adam": moments | {"text": "corrupted"},
        "tiny-corpus": moments | {"text": "tiny", "learning_rate": 0.01},
        "summed-loss": descent | {"train": {"loss_scale": "sum"}},
        "biased-gates": descent | {"train": {"forget_bias": 25.0}},
        "exploding": descent | {"train": {"init": {"uniform": 1.5}}},
    }


SETS = {
    "first": Set(
        labels="labels.tsv", seeds=(1, 2, 3), rows=20, unroll=20, types=1000, probes=5,
        sizes={"small": {"embedding": 64, "hidden": 64, "layers": 1}, "wide": {"embedding": 96, "hidden": 96, "layers": 2}},
        grids={
            "small": {
                ("sgd", 0.0): (0.02, 0.5, 5.0, 10.0, 20.0, 40.0),
                ("sgd", 1.25): (0.02, 10.0, 20.0, 40.0, 80.0, 160.0),
                ("momentum", 0.0): (0.002, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0),
                ("adam", 0.0): (0.00001, 0.001, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64),
            },
            "wide": {
                ("sgd", 0.0): (0.02, 0.5, 1.25, 2.5, 5.0, 10.0, 20.0),
                ("sgd", 1.25): (0.02, 2.5, 5.0, 10.0, 20.0, 40.0),
                ("momentum", 0.0): (0.002, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0),
                ("adam", 0.0): (0.00001, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.16, 0.64),
            },
        },
        faults=faults("sgd", "adam", 5.0),
    ),
    "second": Set(
        labels="second.tsv", seeds=(4, 5, 6), rows=16, unroll=25, types=2000, probes=10,
        sizes={"one": {"embedding": 100, "hidden": 100, "layers": 1},
               "tied": {"embedding": 80, "hidden": 80, "layers": 2, "tied": True}},
        grids={
            "one": {
                ("sgd", 0.0): (0.02, 0.5, 4.0, 8.0, 16.0, 32.0),
                ("sgd", 2.0): (0.02, 4.0, 8.0, 16.0, 32.0, 64.0),
                ("momentum", 0.0): (0.002, 0.5, 2.0, 4.0, 8.0, 16.0),
                ("adam", 0.0): (0.00001, 0.001, 0.025, 0.05, 0.1, 0.2),
                ("rmsprop", 0.0): (0.00001, 0.001, 0.05, 0.1, 0.2, 0.4),
                ("adagrad", 0.0): (0.0005, 0.05, 0.5, 1.0, 2.0, 4.0),
            },
            "tied": {
                ("sgd", 0.0): (0.02, 1.0, 4.0, 8.0, 16.0, 32.0),
                ("sgd", 2.0): (0.02, 4.0, 8.0, 16.0, 32.0, 64.0),
                ("momentum", 0.0): (0.002, 0.5, 2.0, 4.0, 8.0, 16.0),
                ("adam", 0.0): (0.00001, 0.001, 0.005, 0.01, 0.02, 0.04),
                ("rmsprop", 0.0): (0.00001, 0.001, 0.025, 0.05, 0.1, 0.2),
                ("adagrad", 0.0): (0.0005, 0.05, 0.25, 0.5, 1.0, 2.0),
            },
        },
        faults=faults("sgd", "adamw", 4.0, clip=2.0),
    ),
    "third": Set(
        labels="third.tsv", seeds=(7, 8), rows=32, unroll=12, types=1500, probes=10,
        sizes={"broad": {"embedding": 64, "hidden": 128, "layers": 1},
               "dropout": {"embedding": 96, "hidden": 96, "layers": 2, "dropout": 0.2}},
        grids={
            "broad": {
                ("sgd", 0.0): (0.02, 0.5, 4.0, 8.0, 16.0, 32.0),
                ("sgd", 0.5): (0.02, 8.0, 16.0, 32.0, 64.0, 128.0),
                ("momentum", 0.0): (0.002, 0.5, 2.0, 4.0, 8.0, 16.0),
                ("adamw", 0.0): (0.00001, 0.001, 0.025, 0.05, 0.1, 0.2),
                ("rmsprop", 0.0): (0.00001, 0.001, 0.05, 0.1, 0.2, 0.4),
            },
            "dropout": {
                ("sgd", 0.0): (0.02, 1.0, 4.0, 8.0, 16.0, 32.0),
                ("sgd", 0.5): (0.02, 4.0, 16.0, 32.0, 64.0, 128.0),
                ("momentum", 0.0): (0.002, 0.25, 1.0, 2.0, 4.0, 8.0),
                ("adamw", 0.0): (0.00001, 0.001, 0.005, 0.01, 0.02, 0.04),
                ("rmsprop", 0.0): (0.00001, 0.001, 0.025, 0.05, 0.1, 0.2),
            },
        },
        faults=faults("momentum", "adam", 0.5),
    ),
}
