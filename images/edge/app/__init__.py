"""What runs in the image: it makes Caddy's configuration out of variables, and starts, moves and stops Caddy.

`settings` reads the variables; `configuration` and `certificates` make the configuration; `listeners` has the sockets,
`admin` and `caddy` speak to Caddy, and `process` follows signals.
"""
