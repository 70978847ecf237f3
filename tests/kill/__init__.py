"""The kill matrix: what happens when a worker, or a part of the cluster, dies at any point of a deployment."""
