"""Train, evaluate, sweep; run folders, reuse of finished parts, W&B logging."""
