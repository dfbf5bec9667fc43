"""``bluegreen.yaml``: from its text to domain types, with the line in every error.

It decides what an app file may say and what its short forms stand for. What a stack may not be (a need of a stranger, a
circle) the domain decides; it is only told here with its line.
"""

from __future__ import annotations

from bluegreen.appfile.load import APP_FILE, App, LocalSettings, load_app
from bluegreen.appfile.schema import json_schema

__all__ = ["APP_FILE", "App", "LocalSettings", "json_schema", "load_app"]
