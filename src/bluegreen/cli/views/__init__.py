"""What people and programs see: events and values in, text out. Nothing here decides anything.

``plain`` and ``json`` are listeners of the one stream of events; the others turn one value into lines.
"""
