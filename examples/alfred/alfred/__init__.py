"""Alfred: a real, small backend and gateway, the stack that bluegreen ships as its example.

``python -m alfred.backend`` and ``python -m alfred.gateway`` are ordinary services: they know nothing of bluegreen
and learn who they are from their environment (``settings``). Bad versions of them are made by configuration
(``faults``), so that every way a release can go wrong is a real process that really behaves like this.
"""
