"""Ground floor: what every room uses, and nothing of weak lensing."""
