"""Zero-downtime blue-green releases of services that belong together."""

__version__ = "0.1.0"
