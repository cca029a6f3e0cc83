"""What the assistant can do besides reading documents: the registry, the write ledger and the tools themselves."""
