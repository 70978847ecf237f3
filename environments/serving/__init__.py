"""The web server in which the service and the web page run: TLS with certificates that change, and limits of
connections."""
