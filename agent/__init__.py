"""From a question to an `Answer`: the graph, the model it asks, and the rules that decide who decides."""
