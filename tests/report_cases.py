"""Finished runs with names that look like markup, for the tests of reports."""

import json

import numpy as np
from export_cases import constant, make_model, write_run

from swajax.data.problem import Problem
from swajax.data.splits import Dataset
from swajax.io import runlog
from swajax.model.results import write_rows

HOSTILE = (
    "<script>window.broken = 1</script>",
    '"><img src=x onerror="window.broken = 1">',
    "</style><svg onload=window.broken=1>",
    "${window.broken = 1} $title {{7*7}} `",
    "</title></script><!-- ]]> &lt;b&gt; \u202e\x00\n",
)
CLASSES = ("<b>bold</b>", "' onclick='window.broken=1", "$x_1$", "\ud800")


def make_hostile(draw_network, *, num_classes=0, depth=2):
    """Return a model with hostile columns, categories, classes and target."""
    model = make_model(draw_network, depth=depth, num_classes=num_classes)
    columns = [
        column._replace(
            name=name,
            categories=tuple(
                f"{HOSTILE[i]}{c}" for i, c in enumerate(column.categories)
            ),
        )
        for column, name in zip(model.scaling.encoder.columns, HOSTILE, strict=True)
    ]
    encoder = model.scaling.encoder._replace(columns=tuple(columns))
    scaling = model.scaling._replace(encoder=encoder, classes=CLASSES[:num_classes])
    return model._replace(scaling=scaling, target=HOSTILE[1])


def make_part(model, num_rows=60):
    """Return random rows whose targets are the predictions with noise."""
    names = [column.name for column in model.scaling.encoder.columns]
    rng, scaling = np.random.default_rng(0), model.scaling
    x = rng.uniform(-1, 1, (num_rows, model.network.first.shape[0])).astype(np.float32)
    assert len(names) == 5
    x[:, 1] = rng.choice([-1, 1], num_rows)
    x[:, 3:6] = np.eye(3)[rng.integers(3, size=num_rows)]
    if scaling.classes:
        num = len(scaling.classes)
        codes = rng.integers(num, size=num_rows)
        y = codes[:, None] if num == 2 else np.eye(num)[codes]
    else:
        y = (model.outputs(x) - scaling.target_offset) / scaling.target_scale
        y = y + rng.normal(size=y.shape) / 10
    return Problem(x, y.astype(np.float32), np.ones(num_rows, np.float32))


def make_run(folder, draw_network, *, num_classes=0):
    """Write a run of two networks, the larger one picked, without pictures."""
    model = make_hostile(draw_network, num_classes=num_classes)
    members = [constant(model), model]
    write_run(folder, members)
    part = make_part(model)
    write_rows(folder, Dataset(part, part, part))
    measures = ("log_loss", "accuracy") if num_classes else ("rmse", "r2")
    lines = [
        {
            "num_weights": member.num_weights,
            "num_neurons": int(member.network.mask.sum()),
            "depth": 2,
            "is_picked": member is model,
            **{f"{m}_{p}": 0.5 for m in measures for p in ("train", "valid", "test")},
        }
        for member in members
    ]
    results = {
        "source": HOSTILE[0],
        "target": model.target,
        "classes": model.scaling.classes,
        "class_counts": [3] * num_classes,
        "num_rows": {"train": 60, "valid": 60, "test": 60},
        "notes": list(HOSTILE),
        "seconds": 1.5,
        "versions": runlog.find_versions(),
        "config": {"data": HOSTILE[2], "features": list(HOSTILE), "seed": 0},
        "measures": measures,
        "front": lines,
    }
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "metrics.jsonl").write_text('{"stage": "polish", "seconds": 1.0}\n')
    return folder, members
