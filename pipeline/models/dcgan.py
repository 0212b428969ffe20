"""The networks of DCGAN: Radford, Metz, Chintala, arXiv 1511.06434, figure 1, at other powers of two, too."""

from typing import ClassVar

from torch import Tensor, nn

from raygan.pipeline.models.layers import LatentInput, Projection, doubling, normalise


class Generator(nn.Module):
    """Latents, float32 [b, self.seed.latent], to images, float32 [b, 3, size, size] in [-1, 1].

    `size` is one of `sizes` (pixels), `width` the channels of the last hidden layer. `attributes` is the number of
    attributes that it is conditioned on; for `uniform` see layers.LatentInput, for `upsampling` layers.doubling, for
    `normalisation` layers.normalise.
    """

    sizes: ClassVar[tuple[int, ...]] = (32, 64, 128, 256)  # pixels that this pair of networks supports

    def __init__(
        self,
        size: int,
        latent: int,
        width: int,
        normalisation: str,
        uniform: bool = False,
        attributes: int = 0,
        upsampling: str = "transposed",
    ) -> None:
        super().__init__()
        self.seed = LatentInput(latent, uniform, attributes)
        channels, bias = width * size // 8, normalisation == "none"
        layers: list[nn.Module] = [nn.ConvTranspose2d(self.seed.features, channels, 4, bias=bias)]
        while channels > width:
            layers += [*normalise(normalisation, channels), nn.ReLU(inplace=True)]
            layers += doubling(upsampling, channels, channels // 2, bias)
            channels //= 2
        layers += [*normalise(normalisation, width), nn.ReLU(inplace=True)]
        layers += [*doubling(upsampling, width, 3, bias=True), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.apply(_initialise)

    def forward(self, latents: Tensor, attributes: Tensor | None = None) -> Tensor:
        """Images, float32 [b, 3, size, size] in [-1, 1]."""
        return self.layers(self.seed(latents, attributes)[:, :, None, None])


class Discriminator(nn.Module):
    """Images, float32 [b, 3, size, size] in [-1, 1], to logits, float32 [b]; [b, outputs] for several `outputs`.

    `width` is the channels of the first layer. A conditional one (`attributes` above 0) also takes the attributes of
    the images, 0 or 1 [b, attributes].
    """

    def __init__(self, size: int, width: int, normalisation: str, outputs: int = 1, attributes: int = 0) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True)]
        channels, bias = width, normalisation == "none"
        while channels < width * size // 8:
            layers += [nn.Conv2d(channels, 2 * channels, 4, stride=2, padding=1, bias=bias)]
            layers += [*normalise(normalisation, 2 * channels), nn.LeakyReLU(0.2, inplace=True)]
            channels *= 2
        layers += [nn.Conv2d(channels, outputs, 4)]
        self.layers = nn.Sequential(*layers)
        self.projection = Projection(attributes, channels) if attributes else None
        self.apply(_initialise)

    def forward(self, images: Tensor, attributes: Tensor | None = None) -> Tensor:
        """Logits, float32 [b] or [b, outputs]."""
        features = self.layers[:-1](images)
        logits = self.layers[-1](features).flatten(1)
        if self.projection is not None and attributes is not None:
            logits = logits + self.projection(features, attributes)
        return logits.squeeze(1)


def _initialise(module: nn.Module) -> None:
    """Section 4 of the paper: weights from a normal distribution of deviation 0.02."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
