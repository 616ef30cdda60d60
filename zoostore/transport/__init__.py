"""Reading files of a published directory, wherever it is: on a disk or behind a web server."""
