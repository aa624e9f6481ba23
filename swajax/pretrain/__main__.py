"""The command `python -m swajax.pretrain`: train an autoencoder of networks.

`python -m swajax.pretrain ends` makes training data of the space `flow`, and
`python -m swajax.pretrain flow` trains it.
"""

import dataclasses
import sys
from pathlib import Path
from typing import NoReturn

import jax

from swajax.autoencoder.pretrained import load_pretrained
from swajax.io import checkpoints, commands, files, hosts, interrupts, runlog
from swajax.pretrain import PretrainingState
from swajax.pretrain.command import PretrainCommand
from swajax.pretrain.journal import BEST_FILE, STATE_FILE
from swajax.pretrain.trainer import Trainer, make_trainer, train

NAME = "python -m swajax.pretrain"


def main(config: PretrainCommand) -> None:
    """Train, saving after each chunk; draw curves and print the best validation.

    Raises:
      ValueError: options or checkpoints are invalid, or a loss is not finite.
      OSError: a file is missing or in use.
    """
    options = (config.coordinator, config.num_processes, config.process_id)
    with hosts.joined(*options, name=NAME):
        _pretrain(config)


def _pretrain(config: PretrainCommand) -> None:
    commands.use_compilation_cache()
    folder, config = _find_run(config)
    trainer = make_trainer(config)
    state = _start(config, folder, trainer)
    if config.resume is None:  # after all checks, so that errors leave no folder
        runlog.make_run_folder(folder, config)
    with interrupts.advising(f"stopped; resume with --resume {folder}"):
        state = train(state, trainer, config=config, folder=folder)
    if not files.is_writer():
        return
    from swajax.pretrain.curves import draw_curves  # matplotlib is slow to import

    draw_curves(folder)
    _, header = checkpoints.load(folder / BEST_FILE)
    sys.stdout.write(
        f"step {int(state.step)} of {config.training.num_steps}; best at step "
        f"{header['step']}:\n"
        + "".join(f"  {k:28} {v:.4g}\n" for k, v in header["validation"].items())
        + f"curves.png and {BEST_FILE} are in {folder}\n"
    )


def _find_run(config: PretrainCommand) -> tuple[Path, PretrainCommand]:
    """Return folder and configuration of a new run or of the one to resume."""
    if config.resume is None:
        training = config.training.autoencoder
        name = f"pretrain-{training.preset}-{training.activation}"
        return config.out or runlog.default_run_folder(name), config
    stored = runlog.read_config(config.resume, PretrainCommand)
    kept = ("resume", "time_budget", "coordinator", "num_processes", "process_id")
    now = {name: getattr(config, name) for name in kept}
    return config.resume, dataclasses.replace(stored, **now)


def _start(config: PretrainCommand, folder: Path, trainer: Trainer) -> PretrainingState:
    """Return the initial state, or the saved state; drop all later metrics."""
    key = jax.random.key(config.seed)
    if config.resume is not None and (folder / STATE_FILE).exists():
        like = jax.eval_shape(trainer.init_fn, key)
        saved = checkpoints.restore(folder / STATE_FILE, like)
        _cut_metrics(folder, int(saved.step))
        return jax.device_put(saved, trainer.replicated)
    if config.resume is not None:  # the run ended before its first saved state
        _cut_metrics(folder, 0)
    if config.start_from is None:
        return trainer.init_fn(key)
    params, model = load_pretrained(config.start_from)
    if model != config.training.autoencoder:
        raise ValueError(
            f"{config.start_from} holds {model}, not the configuration to train"
        )
    params = jax.device_put(params, trainer.replicated)
    return trainer.init_fn(key)._replace(params=params)


def _cut_metrics(folder: Path, step: int) -> None:
    if files.is_writer():
        runlog.truncate_metrics(folder, step)


def _run() -> NoReturn:
    """Run the command, or the subcommand that the first argument names."""
    options = {"name": NAME, "is_long": True}
    subcommand = sys.argv[1] if len(sys.argv) > 1 else None
    if subcommand not in ("ends", "flow"):
        commands.run_as_process(main, PretrainCommand, **options)
    del sys.argv[1]
    options["name"] = f"{NAME} {subcommand}"
    if subcommand == "ends":
        from swajax.pretrain.ends import command as ends

        commands.run_as_process(ends.main, ends.EndsCommand, **options)
    from swajax.pretrain import flow_command as flow

    commands.run_as_process(flow.main, flow.FlowCommand, **options)


if __name__ == "__main__":
    _run()
