"""Settings → object graph: the only place that constructs adapters."""
