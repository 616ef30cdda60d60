"""The verbs, in the order in which a person would learn them, and where each is.

A verb's module is imported when the verb is used: the command line must start fast.
"""

from __future__ import annotations

VERBS = {
    "checkout": "bringing",
    "pull": "bringing",
    "add": "recording",
    "commit": "recording",
    "status": "comparing",
    "diff": "comparing",
    "ls": "looking",
    "search": "finding",
    "show": "looking",
    "log": "looking",
    "cat": "looking",
    "tag": "naming",
    "rm": "naming",
    "du": "comparing",
    "gc": "freeing",
    "verify": "comparing",
    "repair": "repairing",
    "adopt": "adopting",
    "publish": "sharing",
    "remote": "sharing",
    "completion": "completing",
}
