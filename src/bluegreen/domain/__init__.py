"""What a release is, as values and pure functions.

Nothing in here reads a clock, touches a file or a socket, or imports anything but the standard library. A rule about
pods, slots, images or counters belongs here, with a table test; what talks to the world belongs in an adapter.
"""
