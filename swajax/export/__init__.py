"""Found networks as files and functions that run without a search.

`formats.FORMATS` lists the file formats (C99, NumPy, ONNX, formula, safetensors), one
module per format; each takes a `swajax.model.fitted.Model`. `jax_function` returns a
JAX function. `python -m swajax.export` is the command.
"""
