"""Pretraining of an autoencoder on fresh random networks: losses, state, step, chunk.

Each step draws new networks, a group of every depth, and new points; nothing repeats.
The loss compares OUTPUTS of the network and of its decoded forms, not weights
(arXiv:2410.08339, pretraining objective; spec section 5).
"""

import dataclasses
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import NamedSharding
from jaxtyping import Array, Float, Int

from swajax import autoencoder, configs, prior
from swajax.autoencoder import AutoencoderConfig
from swajax.batched import apply_batch
from swajax.geometry import distance_correlation
from swajax.types import Key, Network

Metrics = dict[str, Float[Array, "*T"]]

VARIANCE_FLOOR = 1e-6  # a network this constant is compared in absolute terms
MUON_ITERATIONS = 4  # Newton-Schulz; the fifth costs more time than it is worth
LOG_FLOOR = 0.002  # smaller errors, relative to the variance, hardly pay

# `paper` is section 5 of the spec, but for the number of networks.
PRESET_DEFAULTS = {
    "compact": {
        "error": "log",
        "mean_weight": 0.1,
        "geometry_weight": 0.5,
        "batch_size": 1024,
        "optimizer": "muon",
        "learning_rate": 5e-3,
        "schedule": "cosine",
    },
    "paper": {
        "error": "raw",
        "mean_weight": 0.0,
        "geometry_weight": 0.0,
        "batch_size": 32,
        "optimizer": "adam",
        "learning_rate": 1e-4,
        "schedule": "halving",
    },
}


@dataclasses.dataclass(frozen=True)
class PretrainingConfig:
    """How an autoencoder is trained; what is not given follows its preset."""

    autoencoder: AutoencoderConfig = AutoencoderConfig()
    """what is trained"""
    loss: Literal["min", "mean"] = "min"
    """error of the best decoder of a network, or the average over its decoders"""
    error: Literal["log", "normalised", "raw"] | None = None
    """log(0.002 + MSE/variance) [compact], MSE/variance, or MSE [paper]"""
    mean_weight: float | None = None
    """weight of the mean loss beside the min loss; keeps all decoders alive
    [compact 0.1, paper 0]"""
    geometry_weight: float | None = None
    """weight of 1 - correlation of embedding distances with functional distances
    [compact 0.5, paper 0]"""
    batch_size: int | None = None
    """networks a step, a multiple of the number of depths [compact 1024, paper 32]"""
    num_points: int = 128
    """random points in [-1, 1]^I at which networks are compared"""
    num_steps: int = 12_000
    """optimizer steps of the whole schedule"""
    optimizer: Literal["muon", "adam"] | None = None
    """muon: orthogonalised momentum for matrices, Adam at a fifth of the rate for the
    rest [compact]; or Adam for all [paper]"""
    learning_rate: float | None = None
    """peak of the learning rate [compact 5e-3, paper 1e-4]"""
    schedule: Literal["cosine", "halving"] | None = None
    """fall to 0 after a warm-up [compact], or halve after each fifth [paper]"""
    warmup_steps: int = 200
    """steps over which the learning rate rises, if the schedule is cosine"""
    clip_norm: float = 1.0
    """gradients are scaled down to this global norm"""

    def __post_init__(self) -> None:
        """Fill in what follows the preset; reject unknown choices and bad sizes."""
        for name, value in PRESET_DEFAULTS[self.autoencoder.preset].items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        configs.check_choices(self)
        num_depths = self.autoencoder.spec.max_depth
        if self.batch_size < 1 or self.batch_size % num_depths:
            raise ValueError(
                f"batch_size must be a positive multiple of {num_depths}, one group "
                f"of networks a depth, got {self.batch_size}"
            )
        for name in ("num_points", "num_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        for name in ("learning_rate", "clip_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")
        for name in ("mean_weight", "geometry_weight", "warmup_steps"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be >= 0, got {getattr(self, name)}")


class PretrainingState(NamedTuple):
    """All that a step changes; `key` stays and is folded with `step`."""

    params: Any
    opt_state: optax.OptState
    step: Int[Array, ""]
    key: Key


def make_optimizer(config: PretrainingConfig) -> optax.GradientTransformation:
    """What the configuration says, with gradients clipped by their global norm."""
    peak, num_steps = config.learning_rate, config.num_steps
    if config.schedule == "cosine":
        warmup = min(config.warmup_steps, num_steps // 2)
        schedule = optax.warmup_cosine_decay_schedule(0.0, peak, warmup, num_steps)
    else:
        fifth = max(1, num_steps // 5)
        schedule = optax.exponential_decay(peak, fifth, 0.5, staircase=True)
    clip = optax.clip_by_global_norm(config.clip_norm)
    if config.optimizer == "adam":
        return optax.chain(clip, optax.adam(schedule))
    # Of the decoders some win rarely and have small gradients; an orthogonalised
    # update moves their matrices as far as those of the others.
    muon = optax.contrib.muon(
        schedule,
        ns_steps=MUON_ITERATIONS,
        adam_learning_rate=lambda count: schedule(count) / 5,
    )
    return optax.chain(clip, muon)


def init(
    key: Key, *, config: PretrainingConfig, optimizer: optax.GradientTransformation
) -> PretrainingState:
    """Fresh state; `key` is consumed."""
    init_key, key = jax.random.split(key)
    params = autoencoder.init(init_key, config=config.autoencoder)
    step = jnp.zeros((), jnp.int32)
    return PretrainingState(params, optimizer.init(params), step, key)


def step(
    state: PretrainingState,
    *,
    config: PretrainingConfig,
    optimizer: optax.GradientTransformation,
    sharding: NamedSharding | None = None,
) -> tuple[PretrainingState, Metrics]:
    """One optimizer step on a fresh batch, split over devices by `sharding`."""
    key = jax.random.fold_in(state.key, state.step)
    network_key, point_key = jax.random.split(key)
    groups = sample_groups(
        network_key, config.batch_size, config=config.autoencoder, sharding=sharding
    )
    shape = (config.num_points, config.autoencoder.spec.num_inputs)
    x = jax.random.uniform(point_key, shape, minval=-1.0)
    grads, metrics = jax.grad(batch_loss, has_aux=True)(
        state.params, groups, x, config=config
    )
    updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    return PretrainingState(params, opt_state, state.step + 1, state.key), metrics


def chunk(
    state: PretrainingState,
    *,
    num_steps: int,
    config: PretrainingConfig,
    optimizer: optax.GradientTransformation,
    sharding: NamedSharding | None = None,
) -> tuple[PretrainingState, Metrics]:
    """`num_steps` steps as one scan; metrics come a row a step."""

    def body(state: PretrainingState, _: None) -> tuple[PretrainingState, Metrics]:
        return step(state, config=config, optimizer=optimizer, sharding=sharding)

    return jax.lax.scan(body, state, None, length=num_steps)


def batch_loss(
    params: Any,
    groups: tuple[Network, ...],
    x: Float[Array, "N I"],
    *,
    config: PretrainingConfig,
) -> tuple[Float[Array, ""], Metrics]:
    """Loss of networks, grouped by depth 1 to L, compared at the points x."""
    z, y = encode_groups(params, groups, x, config=config.autoencoder)
    errors = decoder_errors(params, z, x, y, config=config.autoencoder)
    variance = y.var(axis=1).mean(axis=-1)
    scores = _score(errors, variance, error=config.error)
    best, mean = scores.min(axis=0).mean(), scores.mean()
    loss = mean if config.loss == "mean" else best + config.mean_weight * mean
    metrics = {"loss": loss, "min_loss": best, "min_mse": errors.min(axis=0).mean()}
    if config.geometry_weight:
        geometry = 1 - distance_correlation(z, y)
        metrics |= {"loss": loss + config.geometry_weight * geometry}
        metrics |= {"geometry": geometry}
    return metrics["loss"], metrics


def sample_groups(
    key: Key,
    num: int,
    *,
    config: AutoencoderConfig,
    sharding: NamedSharding | None = None,
) -> tuple[Network, ...]:
    """`num` fresh networks in equal groups of depth 1 to L; `key` is consumed."""

    def sample_group(depth: int) -> Network:
        return prior.sample_batch(
            jax.random.fold_in(key, depth),
            num // config.spec.max_depth,
            spec=config.spec,
            depth=depth,
            sharding=sharding,
        )

    return tuple(sample_group(1 + index) for index in range(config.spec.max_depth))


def encode_groups(
    params: Any,
    groups: tuple[Network, ...],
    x: Float[Array, "N I"],
    *,
    config: AutoencoderConfig,
) -> tuple[Float[Array, "B Z"], Float[Array, "B N O"]]:
    """Embeddings of networks, grouped by depth 1 to L, and their outputs at x.

    What the encoder reads and what the loss compares is one evaluation.
    """
    probes = jnp.asarray(autoencoder.probe_points(config))
    points = jnp.concatenate([probes, x])
    outputs = [
        apply_batch(networks, points, activations=config.spec.activations, depth=depth)
        for depth, networks in enumerate(groups, start=1)
    ]
    y = jnp.concatenate(outputs)
    seen = y[:, : len(probes)]
    if config.preset == "compact":  # one encoder for all depths
        z = _encode(params, _concatenate(groups), seen, config=config)
    else:
        parts = zip(groups, jnp.split(seen, len(groups)), strict=True)
        z = jnp.concatenate(
            [
                _encode(params, group, part, config=config, depth=depth)
                for depth, (group, part) in enumerate(parts, start=1)
            ]
        )
    return z, y[:, len(probes) :]


def decoder_errors(
    params: Any,
    z: Float[Array, "B Z"],
    x: Float[Array, "N I"],
    y: Float[Array, "B N O"],
    *,
    config: AutoencoderConfig,
) -> Float[Array, "L B"]:
    """Mean squared error, against y at x, of what each decoder makes of z."""
    decoded = jax.vmap(lambda one: autoencoder.decode_all(params, one, config=config))
    errors = []
    for depth, networks in enumerate(decoded(z), start=1):
        out = apply_batch(networks, x, activations=config.spec.activations, depth=depth)
        errors.append(jnp.square(out - y).mean(axis=(1, 2)))
    return jnp.stack(errors)


def _encode(
    params: Any,
    networks: Network,
    probes: Float[Array, "B N O"],
    *,
    config: AutoencoderConfig,
    depth: int | None = None,
) -> Float[Array, "B Z"]:
    def encode(network: Network, seen: Float[Array, "N O"]) -> Float[Array, " Z"]:
        return autoencoder.encode(
            params, network, config=config, depth=depth, probes=seen
        )

    return jax.vmap(encode)(networks, probes)


def _concatenate(groups: tuple[Network, ...]) -> Network:
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *groups)


def _score(
    errors: Float[Array, "L B"], variance: Float[Array, " B"], *, error: str
) -> Float[Array, "L B"]:
    """What is minimised, out of mean squared errors."""
    if error == "raw":
        return errors
    ratio = errors / (variance + VARIANCE_FLOOR)[None]
    return jnp.log(LOG_FLOOR + ratio) if error == "log" else ratio
