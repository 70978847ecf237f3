"""Checks of what people send, each in a process of its own with limits of time and memory."""
