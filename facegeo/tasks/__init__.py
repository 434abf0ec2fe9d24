"""LightningModules: losses and logging around injected networks."""
