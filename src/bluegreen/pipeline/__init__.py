"""The six phases of the specification, a file each, in its order and words, and what drives them.

Synchronous and single-threaded: a phase reads top to bottom. It knows no platform; it asks the ports, lets the domain
decide, records in the journal before it acts, and tells what it does as events.
"""
