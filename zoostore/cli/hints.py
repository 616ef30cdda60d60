"""What to do next, for each kind of error. The library says what is; advice is given here."""

from __future__ import annotations

from collections.abc import Mapping

from zoostore.errors import ZooError

HINTS: Mapping[str, str] = {
    "error": "Run the command again with -v to see where it failed.",
    "usage": "`zoostore VERB --help` shows what the verb takes.",
    "invalid_stub": "`zoostore ls` shows the models here, `zoostore remote show builtin` those "
    "that come with zoostore.",
    "invalid_name": "Choose another.",
    "invalid_config": "Correct config.toml in the store's folder, or remove it.",
    "not_found": "Check the name.",
    "unknown_stub": "`zoostore ls` shows the models here, `zoostore remote show NAME` those of a "
    "remote; `zoostore remote ls` names the remotes.",
    "unknown_revision": "`zoostore log STUB` shows its snapshots, `zoostore show STUB` its tags.",
    "unknown_path": "`zoostore ls STUB` shows its files.",
    "ambiguous": "Write more of it.",
    "unknown_choice": "`zoostore ls STUB` shows the files that there are.",
    "missing_extra": "Install it, and run the command again.",
    "unsafe_archive": "Nothing was unpacked. Do not trust whoever made it.",
    "unknown_remote": "`zoostore remote ls` shows the remotes.",
    "not_a_checkout": "`zoostore checkout STUB DIR` makes one.",
    "no_access": "Log in as someone who may read it (`hf auth login`, or HF_TOKEN).",
    "gated": "Ask for access on that page, log in (`hf auth login`, or HF_TOKEN), and run the "
    "command again.",
    "disabled": "Its page may say why. What was pulled of it before stays here.",
    "token_refused": "Log in again (`hf auth login`), or take the token out of HF_TOKEN.",
    "no_store": "`zoostore checkout`, `pull` and `add` make a store where there is none or an "
    "empty folder; --store or ZOOSTORE_HOME say where.",
    "newer_format": "Install a newer zoostore: `pip install --upgrade zoostore`.",
    "busy": "Wait for it to finish, and run the command again.",
    "swept_away": "Run the command again: what is missing will be stored anew.",
    "network_file_system": "Put the index on a local disk: set ZOOSTORE_INDEX to a folder there. "
    "The store itself can stay where it is.",
    "read_only": "Use a store of your own (--store DIR), or ask its owner to write to it.",
    "damaged": "`zoostore verify` shows all that is damaged; `zoostore repair` gets back what any "
    "source has, and adding the original directory again gives back the rest.",
    "missing_object": "Make the remote reachable that has it and run `zoostore repair`, or add its "
    "directory again.",
    "index_damaged": "Remove the index folder: the next command makes it anew.",
    "wrong_content": "Nothing wrong was kept. Tell whoever runs the source, or use another.",
    "malformed": "Nothing was taken from it. Tell whoever made it, or use another source.",
    "unsafe_path": "Nothing was written. Do not trust this source.",
    "offline": "Run the command again without --offline, ZOOSTORE_OFFLINE and HF_HUB_OFFLINE.",
    "transfer_failed": "Check the address and the connection, and run the command again: what "
    "arrived is kept.",
    "not_there": "Check the address: a published zoo has a zoo.json at its top.",
    "access_denied": "Check the name and the password or token: in the address, in ~/.netrc, or in "
    "the source's own settings.",
    "ranges_ignored": "Use a web server that answers range requests.",
    "conflict": "Resolve it, and run the command again.",
    "directory_not_empty": "Name a directory that is empty or does not exist; `checkout --force` "
    "writes into one that is not.",
    "local_changes": "Keep them with `zoostore commit -m MESSAGE` or move them away; --force "
    "overwrites them.",
    "diverged": "`zoostore log STUB` shows what it has now. Keep yours under a name of its own "
    "(`commit --as STUB`), or go on from the newest (`checkout STUB .`; `pull --force` for a "
    "source's).",
    "tag_exists": "Choose another name; `zoostore show STUB` shows the tags.",
    "nothing_to_commit": "Change something first; `zoostore status` shows what differs.",
    "nothing_left": "`zoostore ls STUB` shows the paths; patterns are those of .gitignore.",
    "cannot_add": "Correct it, and add the directory again.",
    "file_changed": "Let whatever writes to it finish, and run the command again.",
    "unreadable_file": "Change its permissions, or take it out of the directory.",
    "special_file": "Take it out of the directory.",
    "unsafe_name": "Rename it, or replace a link that leads outside by what it points to "
    "(`cp -L`).",
    "link_mode_unavailable": "Use --link auto, which takes the best that works here.",
    "disk_full": "Free some space, and run the command again.",
    "file_system": "Check the path and its permissions.",
    "worker_ended": "See whether the machine ran out of memory, and run the command again; "
    "`threads = 1` in config.toml does without such processes.",
}


def hint(error: ZooError) -> str:
    """What to do about an error."""
    return HINTS.get(error.kind, "")
