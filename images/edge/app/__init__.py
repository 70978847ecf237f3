"""What runs in the image: it makes Caddy's configuration out of variables, and starts, reloads and stops Caddy."""
