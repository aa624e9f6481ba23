"""Spaces at default sizes: numbers of networks and weights, and errors."""

import pytest

from swajax.tangle.choices import count_architectures, extreme
from swajax.tangle.spaces import make_space
from swajax.tangle.spaces.base import count_weights


def test_digits_macro_has_243_networks_at_the_stated_sizes():
    space = make_space("digits-macro")
    assert count_architectures(space.choices) == 243
    large = extreme(space.choices, is_largest=True)
    # 3*3*1*12 + 5*5*12*16 + 5*5*16*24 + 24*10, and the biases
    wanted = 108 + 4800 + 9600 + 240 + 12 + 16 + 24 + 10
    assert count_weights(space, large) == wanted
    small = extreme(space.choices, is_largest=False)
    assert count_weights(space, small) == 36 + 32 + 64 + 80 + 4 + 8 + 8 + 10


def test_digits_cell_has_4096_networks_at_the_stated_sizes():
    space = make_space("digits-cell")
    assert count_architectures(space.choices) == 4096
    large = extreme(space.choices, is_largest=True)
    edges = 3 * 2 * (5 * 5 * 16 + 16 * 16)
    entries = 8 * 16 + 2 * 32 * 16
    wanted = 3 * 3 * 8 + entries + 3 * edges + 32 * 10 + 10
    assert count_weights(space, large) == wanted
    small = extreme(space.choices, is_largest=False)
    saved = 9 * (2 * 25 * 16 - 9 * 16 + 16 * 16)
    assert count_weights(space, small) == wanted - saved


def test_the_smallest_vision_transformer_has_the_weights_it_should():
    space = make_space("digits-vit")
    assert count_architectures(space.choices) == 3 * (9**2 + 9**3 + 9**4)
    small = extreme(space.choices, is_largest=False)
    attention = 3 * (16 * 16 + 16) + 16 * 16 + 16
    layer = 4 * 16 + attention + 2 * (16 * 16 + 16)
    outside = (4 + 1) * 16 + 16 + 17 * 16 + 2 * 16 + 16 * 10 + 10
    assert count_weights(space, small) == 2 * layer + outside


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nasbench", {}, r"space must be one of \['mlp', 'digits-macro',"),
        ("mlp", {"width": (2, 3)}, "space mlp: .*unexpected keyword argument 'width'"),
        ("mlp", {"widths": (3,)}, "'width': needs at least two options"),
        ("mlp", {"widths": (3, 3)}, "'width': options must differ"),
        ("mlp", {"depths": ()}, "'depth': needs at least two options"),
        ("mlp", {"widths": (0, 3)}, "widths must be >= 1"),
        ("mlp", {"widths": (2, 2.5)}, r"width(?s:.*)\(2, 2\.5\)"),
        ("mlp", {"depths": (0, 1)}, "'depth': options of kind depth do not nest"),
        ("mlp", {"activations": ("swish", "tanh")}, r"got \('swish', 'tanh'\)"),
        ("mlp", {"masking": "out"}, "masking(?s:.*)'out'"),
        ("digits-macro", {"kernels": ((1, 3),)}, "for the same number of convolutions"),
        ("digits-macro", {"kernels": ((1,), (1, 3), (1, 2))}, "kernels must be odd"),
        (
            "digits-macro",
            {"kernels": ((3,), (), (1, 3))},
            "'kernel2': needs at least two",
        ),
        ("digits-macro", {"channels": ((1, 2), (0, 1), (1, 2))}, "channels must be"),
        ("digits-cell", {"operations": ("sep3", "sep7")}, r"got \['sep7'\]"),
        ("digits-cell", {"operations": ("sep3",)}, "'normal': needs at least two"),
        ("digits-cell", {"layout": "residual"}, "layout must be .*'residual'"),
        ("digits-cell", {"layout": "normal-up"}, "layout must be .*'normal-up'"),
        ("digits-cell", {"join": "last"}, "channels must not change"),
        (
            "digits-cell",
            {"join": "last", "num_inputs": 2, "layout": "normal-residual-normal"},
            "residual block changes the channels",
        ),
        ("digits-cell", {"num_nodes": 0}, "num_nodes must be >= 1, got 0"),
        ("digits-vit", {"embed": ()}, "'embed': needs at least two options"),
        ("digits-vit", {"embed": (0, 2)}, "embed, heads and head_size must be >= 1"),
        (
            "digits-vit",
            {"ratios": (0, 2)},
            r"'ratio': ratios must be > 0, got \(0, 2\)",
        ),
        ("digits-vit", {"embed": (3, 4), "ratios": (1.5, 2)}, "do not nest"),
        ("chars-gpt", {"context": 0}, "num_tokens and context must be >= 1"),
        ("digits-vit", {"patch": 3}, "patch must divide the image size 8, got 3"),
    ],
)
def test_bad_spaces_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        make_space(name, **options)
