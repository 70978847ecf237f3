"""Builds images: recipes, the pinned toolchain, and the code that builds and validates."""
