"""The zoo in the package: small, real models that need no network."""
