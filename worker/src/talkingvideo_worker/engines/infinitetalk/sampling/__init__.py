"""From noise to a window's latents."""
