"""Networks: torch alone, no paths, no losses, no configuration."""
