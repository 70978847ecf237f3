"""The table of who gets what answer from which route, and the world in which a test asks for it."""
