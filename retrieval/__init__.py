"""Documents in, evidence out: PostgreSQL with pgvector, knowing nothing of models that answer or of tools."""
