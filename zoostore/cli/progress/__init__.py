"""How far work is, for whoever waits: bars, lines, or events as JSON."""
