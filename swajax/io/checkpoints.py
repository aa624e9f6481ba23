"""Trees of arrays in safetensors files, written atomically and read without pickle.

Each array is named by its path in the tree, as in `params/Dense_0/kernel`. The metadata
of the file hold one JSON text under "swajax": the format version, the caller's header,
the names of the arrays in half precision, and a checksum of all these and the arrays.

Functions that handle trees and typed keys import JAX themselves, so that reading the
arrays of a file does not load it.
"""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from swajax.io import files

FORMAT = "swajax"
VERSION = 1


def save(
    path: Path | str, tree: Any, *, header: Mapping[str, Any], is_half: bool = False
) -> None:
    """Write a tree of arrays, replacing the file atomically.

    Args:
      path: the file; its folder must exist.
      tree: any pytree of arrays, scalars and typed keys. Arrays sharded over several
        hosts must be gathered first.
      header: JSON values, returned by `load`.
      is_half: store float32 arrays as float16; `load` returns them as float32.

    Raises:
      ValueError: two leaves have the same name, or a number exceeds float16.
      OSError: the file cannot be written; the error names it.
    """
    arrays = {name: _to_numpy(leaf) for name, leaf in _named_leaves(tree).items()}
    halved = [n for n, a in arrays.items() if is_half and a.dtype == np.float32]
    for name in halved:
        arrays[name] = _to_half(arrays[name], name, path)
    record = {
        "format": FORMAT,
        "version": VERSION,
        "header": json.loads(json.dumps(header)),  # as `load` reads it
        "halved": halved,
    }
    record["checksum"] = _checksum(arrays, record)
    metadata = {FORMAT: json.dumps(record)}
    files.write_bytes(path, safetensors.numpy.save(arrays, metadata=metadata))


def load(path: Path | str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read the arrays of a file, by name, and the header given to `save`.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the file is damaged, truncated or of another format.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint file")
    try:
        with safetensors.safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}
    except (safetensors.SafetensorError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: damaged or no safetensors file ({error})") from error
    record = _parse_record(metadata, path)
    if record.pop("checksum") != _checksum(arrays, record):
        raise ValueError(f"{path}: damaged, the checksum does not fit the content")
    for name, array in arrays.items():
        if name in record["halved"]:
            arrays[name] = array.astype(np.float32)
    return arrays, record["header"]


def restore(path: Path | str, like: Any) -> Any:
    """Read a tree from a file.

    Args:
      path: a file written by `save`.
      like: a tree of the same structure, shapes and dtypes. Its leaves may be
        `jax.ShapeDtypeStruct`, as `jax.eval_shape` returns them. Typed keys get the key
        type of their leaf.

    Returns:
      A tree with the structure and the kinds of leaves of `like`.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the file is damaged, or an array is missing, unexpected or of another
        shape or dtype; names the first such array.
    """
    arrays, _ = load(path)
    return from_arrays(arrays, like, source=str(path))


def from_arrays(arrays: Mapping[str, np.ndarray], like: Any, *, source: str) -> Any:
    """Build a tree from the arrays of `load`, as `restore` does.

    Args:
      arrays: arrays by name.
      like: as in `restore`.
      source: file or other origin of the arrays, for error messages.

    Raises:
      ValueError: as in `restore`.
    """
    import jax

    leaves = _named_leaves(like)
    for name, leaf in leaves.items():
        _check_array(arrays.get(name), leaf, f"{source}: array '{name}'")
    if unexpected := sorted(arrays.keys() - leaves.keys()):
        raise ValueError(f"{source}: array '{unexpected[0]}' is not expected")
    restored = [_from_numpy(arrays[name], leaf) for name, leaf in leaves.items()]
    return jax.tree.unflatten(jax.tree.structure(like), restored)


def _named_leaves(tree: Any) -> dict[str, Any]:
    """Return the leaves of a tree by name, in the order of the tree."""
    import jax

    named: dict[str, Any] = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        if name in named:
            raise ValueError(f"two leaves of the tree are called '{name}'")
        named[name] = leaf
    return named


def _is_key(leaf: Any) -> bool:
    """Return whether a leaf is an array of typed keys, possibly an abstract one."""
    import jax

    dtype = getattr(leaf, "dtype", None)
    return dtype is not None and jax.numpy.issubdtype(dtype, jax.dtypes.prng_key)


def _to_numpy(leaf: Any) -> np.ndarray:
    """Return a leaf as an array in C order; keys become their integers."""
    import jax

    array = np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)
    # safetensors writes the memory of an array, whatever its order.
    return np.array(array, order="C")


def _from_numpy(array: np.ndarray, leaf: Any) -> Any:
    """Convert an array to the kind of value that the leaf is."""
    import jax

    if _is_key(leaf):
        impl = jax.random.key_impl(jax.numpy.empty((), leaf.dtype))
        return jax.random.wrap_key_data(array, impl=impl)
    if isinstance(leaf, jax.Array | jax.ShapeDtypeStruct):
        return jax.numpy.asarray(array)
    if isinstance(leaf, np.ndarray):
        return array
    return array[()] if isinstance(leaf, np.generic) else array.item()


def _check_array(array: np.ndarray | None, leaf: Any, place: str) -> None:
    """Check that an array is there, with the shape and dtype of the leaf."""
    import jax

    if array is None:
        raise ValueError(f"{place} is missing")
    data = jax.eval_shape(jax.random.key_data, leaf) if _is_key(leaf) else leaf
    shape = np.shape(data)
    dtype = data.dtype if hasattr(data, "dtype") else np.asarray(data).dtype
    if (array.shape, array.dtype) != (shape, dtype):
        raise ValueError(
            f"{place} is {array.dtype}{list(array.shape)}, "
            f"expected {dtype}{list(shape)}"
        )


def _to_half(array: np.ndarray, name: str, path: Path | str) -> np.ndarray:
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    if (np.isinf(half) & np.isfinite(array)).any():
        raise ValueError(f"{path}: array '{name}' holds numbers beyond float16")
    return half


def _parse_record(metadata: Mapping[str, str], path: Path) -> dict[str, Any]:
    foreign = ValueError(f"{path}: a safetensors file, but not one of swajax")
    try:
        record = json.loads(metadata[FORMAT])
        version = record["version"]
        is_known = record["format"] == FORMAT and "checksum" in record
        is_known = is_known and isinstance(record["header"], dict)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise foreign from error
    if not is_known:
        raise foreign
    if version != VERSION:
        raise ValueError(
            f"{path}: format version {version}, this swajax reads {VERSION}"
        )
    return record


def _checksum(arrays: Mapping[str, np.ndarray], record: Mapping[str, Any]) -> int:
    """Return the CRC-32 of names, dtypes, shapes, numbers and the record."""
    value = zlib.crc32(json.dumps(record, sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        value = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), value)
        value = zlib.crc32(array.tobytes(), value)
    return value
