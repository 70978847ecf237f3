"""The jobs that Nomad runs for Calvinverse, and the code that deploys them through the client."""
