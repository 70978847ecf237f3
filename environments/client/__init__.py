"""Typed client of the API: the only way of the TUI and the command line to the service."""

from environments.client.bundles import read_bundle
from environments.client.http import Client, connect
from environments.client.live import LiveEvents, LiveItem, Place
from environments.client.overview import Filters
from environments.client.stream import Connected, Disconnected, EventStream, StreamItem

__all__ = [
    "Client",
    "Connected",
    "Disconnected",
    "EventStream",
    "Filters",
    "LiveEvents",
    "LiveItem",
    "Place",
    "StreamItem",
    "connect",
    "read_bundle",
]
