"""What can go wrong, as one line for a person.

TestbedError          the command failed (exit 1)
└── Unavailable       a cluster cannot run on this machine or for this user (exit 69): not run, never passed
"""


class TestbedError(Exception):
    """What failed, where, and what to do, in one line; a log's last lines may follow on lines of their own."""

    __test__ = False  # pytest takes any class that begins with Test for a test
    exit_code = 1


class Unavailable(TestbedError):
    """Root, namespaces or a program is missing, so nothing was started."""

    exit_code = 69
