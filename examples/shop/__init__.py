"""A shop: its policy as documents, its customers, products and orders as tables, its look-ups and writes as tools."""
