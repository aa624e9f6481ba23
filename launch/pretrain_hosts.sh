#!/usr/bin/env bash
# Pretrain one autoencoder on several hosts, with one process per host, data-parallel over
# all devices. Arguments after `--` are passed to swajax.pretrain.
#
#   several processes on this machine, for a test:
#     launch/pretrain_hosts.sh local 2 -- --preset compact --activation sigmoid
#   over ssh; the first host coordinates:
#     launch/pretrain_hosts.sh ssh node1,node2 -- --preset compact --out runs/big
#   with Slurm, one task per node:
#     srun --nodes=4 --ntasks-per-node=1 launch/pretrain_hosts.sh slurm -- --out runs/big
#   otherwise, once on every host (process 0 on the coordinating host):
#     launch/pretrain_hosts.sh process node1:7733 4 0 -- --out runs/big
#
# The project must have the same path on every host; on a shared file system, create the
# environment first (for example with launch/test.sh --help). Only process 0 writes files.
# The first host listens on the port PORT, an environment variable (default 7733).
module=swajax.pretrain
source "$(dirname "${BASH_SOURCE[0]}")/hosts.sh"
