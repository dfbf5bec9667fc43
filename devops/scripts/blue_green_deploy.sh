#!/bin/sh
# Releases Alfred by blue-green, from this checkout, with Python 3.11 or newer and nothing else installed:
#
#   devops/scripts/blue_green_deploy.sh --backend-image alfredai/backend:v2.1.0 [--gateway-image ...] [--dry-run] ...
#   devops/scripts/blue_green_deploy.sh rollback    # or verify, status, doctor, show: a first word is a command
#
# It is `bluegreen --platform kubernetes deploy "$@"`. This file only finds Python and becomes it, so that signals reach
# it; launch.py beside it does the rest: on first use it fetches four small packages into the user's cache folder.
set -eu

# Where this file is, through symbolic links.
self=$0
while [ -h "$self" ]; do
    link=$(readlink "$self")
    case $link in
        /*) self=$link ;;
        *) self=${self%/*}/$link ;;
    esac
done
case $self in
    */*) here=${self%/*} ;;
    *) here=. ;;
esac

no_python() {
    found=$(python3 --version 2>&1) || found="there is no python3"
    {
        echo "error: Python 3.11 or newer is needed, and none is on the PATH ($found)"
        echo "  install one, or put it on the PATH; on GitHub Actions: uses: actions/setup-python"
        echo
        cat "$here/rollback_by_hand.txt"
    } >&2
    exit 2
}

find_python() {
    for python in python3 python3.15 python3.14 python3.13 python3.12 python3.11 python; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            return 0
        fi
    done
    no_python
}

# The Python that worked last time, as launch.py has noted it: asking another one first for its version takes time.
known=${XDG_CACHE_HOME:-${HOME:-}/.cache}/bluegreen/python
python=
if [ -r "$known" ] && [ -O "$known" ]; then
    read -r python <"$known" || :
fi
[ -x "$python" ] || find_python

# How its user has called this file, for the command lines that it suggests.
case $0 in
    */*) BLUEGREEN_PROGRAM=$0 ;;
    *) BLUEGREEN_PROGRAM=./$0 ;;
esac
export BLUEGREEN_PROGRAM

# -I, -S: nothing of the user's own Python, neither its variables nor its packages, gets in the way, or costs time.
exec "$python" -I -S "$here/launch.py" "$@"
