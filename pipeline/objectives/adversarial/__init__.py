"""The adversarial objective: a generator trained against a discriminator (GAN)."""
