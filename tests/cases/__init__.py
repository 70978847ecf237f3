"""Templates as people write them; `expected.toml` says what has to become of each, and `doit test:cases` tries it."""
