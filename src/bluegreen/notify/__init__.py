"""Adapter: notices to people by URLs of apprise, each sent by a process of its own that is killed when it is late."""
