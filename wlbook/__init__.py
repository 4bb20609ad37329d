"""Weak-lensing maps, statistics, networks, saliency, degradation and constraints: the code behind the book."""
