#!/usr/bin/env bash
# Search networks for one table on several hosts, with one process per host. Arguments
# after `--` are passed to swajax.search.
#
#   several processes on this machine, for a test:
#     launch/search_hosts.sh local 2 -- --data diabetes
#   over ssh; the first host coordinates:
#     launch/search_hosts.sh ssh node1,node2 -- --data big.parquet --target y
#   with Slurm, one task per node:
#     srun --nodes=4 --ntasks-per-node=1 launch/search_hosts.sh slurm -- --data iris
#   otherwise, once on every host (process 0 on the coordinating host):
#     launch/search_hosts.sh process node1:7733 4 0 -- --data big.parquet --target y
#
# Each process searches from its share of the starts; all merge their best networks after
# each stage. When one ends, all end. The project and the table must have the same paths
# on every host; on a shared file system, create the environment first (for example with
# launch/test.sh --help). Only process 0 writes files. The first host listens on the port
# PORT, an environment variable (default 7733); the hosts also connect at other ports.
module=swajax.search
source "$(dirname "${BASH_SOURCE[0]}")/hosts.sh"
