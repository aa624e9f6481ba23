"""Models of each kind, shared by the tests of all formats."""

import pytest
from export_cases import constant, make_all, make_frame, make_model

KINDS = {  # depth, number of classes
    "number": (3, 0),
    "two classes": (2, 2),
    "three classes": (1, 3),
    "four classes": (3, 4),
}


@pytest.fixture(scope="session")
def models(draw_network):
    """Models by kind; the constant model reads no column."""
    found = {
        kind: make_model(draw_network, depth=depth, num_classes=num)
        for kind, (depth, num) in KINDS.items()
    }
    found["every activation"] = make_all(draw_network)
    return found | {f"constant {kind}": constant(m) for kind, m in found.items()}


@pytest.fixture(scope="session")
def frame():
    """Rows with missing cells and unknown categories."""
    return make_frame(300)
