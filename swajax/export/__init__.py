"""Export of found networks as files and functions.

`formats.FORMATS` lists the file formats (C99, NumPy, ONNX, formula, safetensors). Each
format is a module that exports a `swajax.model.fitted.Model`. `jax_function` returns a
JAX function. The command is `python -m swajax.export`.
"""
