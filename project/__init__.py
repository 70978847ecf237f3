"""What keeps the project itself in order: locks of dependencies, releases, the site of the docs."""
