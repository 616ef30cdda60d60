"""Views: models, directories and files, as SparseZoo's users know them."""
