"""Speed and accuracy against the alternatives, run by anyone: `python -m benchmarks.<name>`."""
