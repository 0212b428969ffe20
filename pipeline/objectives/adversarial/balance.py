"""When each network is updated: discriminator updates per generator update."""

from fractions import Fraction

HALF_LIFE = 500  # images: long enough to smooth the accuracy of single batches, short enough to follow the networks


def generator_updates_due(position: int, batch: int, balance: float) -> int:
    """How many generator updates follow the discriminator update that starts at `position`.

    A pure function of the position, so a resumed run continues the same schedule: after n discriminator updates there
    have been floor(n / balance) generator updates.
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
        """Whether the next step updates the generator, rather than the discriminator."""
        return self.accuracy > self.target

    def observe(self, accuracy: float, images: int) -> None:
        """`accuracy` of the discriminator over the last global batch, of `images`; the same on all ranks."""
        self.accuracy += (1 - 0.5 ** (images / HALF_LIFE)) * (accuracy - self.accuracy)

    def state_dict(self) -> dict[str, float]:
        """The running mean; the target is a setting."""
        return {"accuracy": self.accuracy}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Restores the running mean."""
        self.accuracy = state["accuracy"]
