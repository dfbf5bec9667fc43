"""The composition root: the only place that knows which adapters there are, and imports those in use.

A command opens a world: the pipeline's tools over one stack's adapters. One module a platform, so that a command
imports one of them; heavy parts are imported when they are used, so that a rollback starts as fast as it can.
"""
