"""What Nomad runs for Calvinverse itself, and the code that deploys it through the client."""
