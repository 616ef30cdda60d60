"""The store: loose objects, packs, the reflog, and the index derived from them."""
