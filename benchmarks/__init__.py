"""What the figures on ``docs/performance.md`` come from: ``python -m benchmarks``."""
