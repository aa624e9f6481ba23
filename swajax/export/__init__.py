"""Found networks as code and files that need no swajax: C99, NumPy, ONNX, a formula.

One file per format; each takes a `swajax.model.fitted.Model`.
`python -m swajax.export` is the command.
"""
