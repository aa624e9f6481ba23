"""Training data of a learned space: functions, and networks that fits of them end at.

* `walk`: random networks are raced, polished and walked down the sizes, for a block of
  random tables at once;
* `shards`: the best of them, several of each size, in files;
* `command`: `python -m swajax.pretrain ends`.
"""
