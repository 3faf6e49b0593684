"""Speed against what people would use instead, as ratios: python -m benchmarks."""
