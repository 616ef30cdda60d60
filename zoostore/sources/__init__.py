"""Where models come from: sources speak stubs and revisions, and are only read."""
