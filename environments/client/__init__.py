"""Typed client of the API: the only way of the TUI and the command line to the service."""

from environments.client.bundles import read_bundle
from environments.client.http import HttpClient, connect
from environments.client.protocol import Client, Connected, Disconnected, EventStream, StreamItem

__all__ = ["Client", "Connected", "Disconnected", "EventStream", "HttpClient", "StreamItem", "connect", "read_bundle"]
