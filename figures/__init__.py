"""Studies behind the figures and tables of this repository, not part of the wheel.

Each folder is one study. Run studies from the root of the repository, for example with
`python -m figures.quality`.
"""
