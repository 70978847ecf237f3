"""The image `web`: what the example template runs."""
