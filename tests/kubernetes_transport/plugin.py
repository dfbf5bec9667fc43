"""A credential plugin for the tests: answers what its environment says, and leaves a note of how it was called."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

notes = Path(os.environ["PLUGIN_NOTES"])
with notes.open("a", encoding="utf-8") as file:
    json.dump({"arguments": sys.argv[1:], "environment": dict(os.environ)}, file)
    file.write("\n")
calls = len(notes.read_text(encoding="utf-8").splitlines())
if os.environ.get("PLUGIN_HANGS"):
    time.sleep(600)
status = {"token": f"token-{calls}", **json.loads(os.environ.get("PLUGIN_STATUS", "{}"))}
answer = {"kind": "ExecCredential", "apiVersion": os.environ.get("PLUGIN_VERSION", ""), "status": status}
print(os.environ.get("PLUGIN_SAYS") or json.dumps(answer))
print("told to a person", file=sys.stderr)
sys.exit(int(os.environ.get("PLUGIN_EXIT", "0")))
