"""Reading what other tools keep: their folders as models, by the digests that they say."""
