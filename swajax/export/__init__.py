"""Found networks as code and files that need no swajax: C99, NumPy, ONNX, a formula.

A file a format; each takes a `swajax.models.Model`. `python -m swajax.export` is the
command.
"""
