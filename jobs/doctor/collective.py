"""One all-reduce over the nodes, as training does it for every update."""

import socket
import time
from collections.abc import Sequence
from datetime import timedelta

MEGABYTES = 16  # a DCGAN's gradients
ROUNDS = 5
PATIENCE = 60.0  # seconds for the ranks to form a group


class Rank:
    """One process of the group, on its node."""

    def address(self) -> str:
        """The address at which this rank lets the others join the group."""
        import ray

        with socket.socket() as probe:
            probe.bind(("", 0))
            return f"tcp://{ray.util.get_node_ip_address()}:{probe.getsockname()[1]}"

    def reduce(self, rank: int, ranks: int, address: str, gpu: bool) -> float:
        """Seconds that the fastest of ROUNDS all-reduces of MEGABYTES took. Raises RuntimeError."""
        import torch
        import torch.distributed as dist

        patience = timedelta(seconds=PATIENCE)
        dist.init_process_group("nccl" if gpu else "gloo", address, patience, ranks, rank)
        gradients = torch.ones(MEGABYTES * 250_000, device="cuda" if gpu else "cpu")
        seconds = []
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            dist.all_reduce(gradients)
            float(gradients[0])  # waits for the GPU
            seconds.append(time.perf_counter() - begin)
        dist.destroy_process_group()
        return min(seconds)


def bandwidth(nodes: Sequence[str], gpu: bool) -> float:
    """Bytes per second that each rank sends, with one rank on each of these nodes (ids). Any exception may come."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ranks = [
        ray.remote(Rank)
        .options(num_cpus=0, num_gpus=int(gpu), scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False))
        .remote()
        for node in nodes
    ]
    try:
        address = ray.get(ranks[0].address.remote(), timeout=PATIENCE)
        reducing = [rank.reduce.remote(number, len(ranks), address, gpu) for number, rank in enumerate(ranks)]
        slowest = max(ray.get(reducing, timeout=2 * PATIENCE))
    finally:
        for rank in ranks:
            ray.kill(rank)
    return 2 * (len(ranks) - 1) / len(ranks) * MEGABYTES * 1e6 / slowest
