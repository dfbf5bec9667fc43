"""Verdict: what one snapshot says of a slot that was staged. Progressing, ready, doomed by a cause, timed out.

A slot is ready when each of its workloads is settled and has all its pods ready, on the platform and on the data
plane alike; a pod that was started again must have stayed ready for some seconds. It is doomed when a workload has pods
and every one of them is doomed (a hiccup of one pod is no doom), or when the platform refuses to make them. Everything
else is progress, and a limit ends it.

A module a family of causes; ``graces`` has every number, ``reasons`` every word with its advice, ``hiccups`` what looks
bad and is not. docs/verdicts.md is the same, for people.
"""

from bluegreen.domain.cause import Cause as Cause
from bluegreen.domain.health.explain import explained as explained
from bluegreen.domain.health.reasons import Reason as Reason
from bluegreen.domain.health.verdict import Doomed as Doomed
from bluegreen.domain.health.verdict import Limit as Limit
from bluegreen.domain.health.verdict import Progressing as Progressing
from bluegreen.domain.health.verdict import Ready as Ready
from bluegreen.domain.health.verdict import SlotDoomed as SlotDoomed
from bluegreen.domain.health.verdict import TimedOut as TimedOut
from bluegreen.domain.health.verdict import Verdict as Verdict
from bluegreen.domain.health.verdict import judge as judge
