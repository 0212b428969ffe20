"""Whose turn it is: discriminator updates per generator update."""

from fractions import Fraction

FORGETS_HALF_IN = 500  # images: long enough to calm one batch's accuracy, short enough to follow the networks


def generator_updates_due(position: int, batch: int, balance: float) -> int:
    """How many generator updates follow the discriminator update that starts at `position`.

    A pure function of the position, so a resumed run keeps the rhythm: after n discriminator updates there have been
    floor(n / balance) generator updates.
    """
    images_per_update = batch * Fraction(balance).limit_denominator(1000)
    return (position + batch) // images_per_update - position // images_per_update


class AutoBalance:
    """balance=auto: each step updates one network, so that the discriminator's accuracy stays near `target`.

    Above the target the generator is updated, else the discriminator: the tutorial's way to a discriminator at 50%.
    """

    def __init__(self, target: float) -> None:
        self.target = target
        self.accuracy = 0.5  # running mean; a discriminator that knows nothing

    @property
    def generator_is_due(self) -> bool:
        return self.accuracy > self.target

    def observe(self, accuracy: float, images: int) -> None:
        """`accuracy` of the discriminator over the last global batch, of `images`; the same on all ranks."""
        self.accuracy += (1 - 0.5 ** (images / FORGETS_HALF_IN)) * (accuracy - self.accuracy)

    def state_dict(self) -> dict[str, float]:
        return {"accuracy": self.accuracy}

    def load_state_dict(self, state: dict[str, float]) -> None:
        self.accuracy = state["accuracy"]
