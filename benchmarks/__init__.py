"""Speed, memory and accuracy, as ratios measured side by side in one run."""
