"""Whether a second process may help with the files of a folder."""

from pathlib import Path


def several_at_a_time(threads: int | None, *folders: Path) -> bool:
    """Whether more than one file may be in work at a time, in all of some folders.

    Args:
        threads: how many, as somebody asked; None: as suits the disks.
    """
    # Imported here: most often there is too little to do for two.
    from zoostore.files.readers import threads_for

    return all(threads_for(folder, threads).files > 1 for folder in folders)
