"""How tables are described: columns, keys and rules, and what is derived from them."""
