"""Frozen values with exactly one encoding each: trees, snapshots, and their paths."""
