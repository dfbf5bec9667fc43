"""Adapter: the app file's command checks, run on the machine that releases."""
