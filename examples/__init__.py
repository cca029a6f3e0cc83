"""Real sample data, documents and tools, shipped with the package."""
