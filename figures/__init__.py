"""Studies behind the figures and tables of this repository; not in the wheel.

Each folder is one study and is run from the root of the repository, for example
`python -m figures.quality`.
"""
