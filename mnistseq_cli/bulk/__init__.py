"""From samples to a finished folder: parts, workers, records, resume."""
