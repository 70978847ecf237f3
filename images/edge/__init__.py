"""The image `edge`: Caddy in front of the service, at the one address that other machines reach."""
