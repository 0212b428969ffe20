"""How many trials a cluster holds at once, said before any starts."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from raygan.pipeline.tuning.search import Search
from raygan.sharding.errors import UserError


class Capacity(NamedTuple):
    """What a search may have at once."""

    trials: int
    words: str


def capacity(search: Search, nodes: Sequence[Mapping[str, float]]) -> Capacity:
    """`nodes`: the resources of each living node, in Ray's words. Raises UserError, with the numbers, for too few.

    A trial's driver asks for no CPU, so all of them go to workers. Workers of one trial may lie on several nodes,
    but each wants its cores or its GPU on one.
    """
    launch, workers = search.launch, search.workers
    wanted = {"CPU": launch.cpus_per_worker, "GPU": int(launch.gpu)}
    places = sum(int(min(node.get(kind, 0) // amount for kind, amount in wanted.items() if amount)) for node in nodes)
    each = f"{launch.cpus_per_worker} CPU(s)" + (" and 1 GPU" if launch.gpu else "")
    held = ", ".join(f"{sum(node.get(kind, 0) for node in nodes):g} {kind}s" for kind in ("CPU", "GPU"))
    fits = f"the cluster has {held} on {len(nodes)} node(s): room for {places} worker(s) of {each}"
    if places < workers:
        raise UserError(f"`workers_per_trial` {workers}: a trial does not fit: {fits}; ask for fewer or add nodes")
    asked = search.options.concurrent
    if asked and asked > places // workers:
        raise UserError(f"`concurrent` {asked}: {fits}, which is {places // workers} trial(s) at once; ask for fewer")
    trials = min(asked or places // workers, search.count)
    return Capacity(trials, f"{fits}; {trials} trial(s) at once, each with {workers}")
