"""What the diffusion generators share: network, noise, training loop, sampler."""
