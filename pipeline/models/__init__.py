"""Networks: a generator and a discriminator per file, what they share, their latents, and the moving average.

Nothing here knows how a network is trained. `build` makes the networks that a configuration asks for.
"""
