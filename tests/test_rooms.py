"""The order of the rooms: a module imports only from preceding rooms."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = (
    "types",
    "objectives",
    "io",
    "network",
    "data",
    "prior",
    "refine",
    "autoencoder",
    "pretrain",
    "latent_search",
    "model",
    "export",
    "report",
    "tangle",
    "search",
    "estimators",
    "predict",
)
# Packages that only some rooms may import.
HOMES = {
    "flax": ("swajax/autoencoder/",),
    "matplotlib": (
        "swajax/report/",
        "swajax/pretrain/curves.py",
        "swajax/tangle/plots.py",
        "swajax/io/png.py",
        "figures/",
    ),
    "optax": (
        "swajax/autoencoder/",
        "swajax/pretrain/",
        "swajax/latent_search/",
        "swajax/tangle/",
        "figures/",
    ),
}
# Files of `io` and `data`, which commands import first, do without JAX but for these.
JAX_PATHS = ("swajax/io/compilation.py", "swajax/io/devices.py")
JAX_MODULES = ("jax.", "swajax.io.compilation.", "swajax.io.devices.")
MODULES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("swajax", "figures")
    for path in (ROOT / folder).rglob("*.py")
)


def find_imports(path: str, *, at_top: bool = False) -> set[str]:
    """Return the dotted names that a module imports, or only those at its top level."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    names = set()
    for node in tree.body if at_top else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def room_of(name: str) -> str | None:
    """Return the room of a dotted name or path within the package."""
    parts = name.removesuffix(".py").replace("/", ".").split(".")
    return parts[1] if parts[0] == "swajax" and len(parts) > 1 else None


def test_every_folder_and_file_of_the_package_is_a_room():
    found = {p.split("/")[1].removesuffix(".py") for p in MODULES if "swajax/" in p}
    assert found - {"__init__"} == set(ROOMS)


@pytest.mark.parametrize("path", MODULES)
def test_imports_go_to_earlier_rooms_only(path):
    own = room_of(path)
    rank = ROOMS.index(own) if own in ROOMS else len(ROOMS)
    for name in find_imports(path):
        assert not (own and name.split(".")[0] in ("figures", "tests")), name
        other = room_of(name)
        if other in ROOMS and own != "__init__":
            assert ROOMS.index(other) <= rank, f"{path} imports {name}"


@pytest.mark.parametrize("path", MODULES)
def test_packages_are_imported_only_where_they_belong(path):
    packages = {name.split(".")[0] for name in find_imports(path)}
    for package, homes in HOMES.items():
        assert package not in packages or path.startswith(homes), f"{path}: {package}"
    if path.startswith(("swajax/io/", "swajax/data/")):
        names = find_imports(path, at_top=True)
        is_free = not any(f"{name}.".startswith(JAX_MODULES) for name in names)
        assert is_free or path in JAX_PATHS, path
