"""What models cost, counted from their shapes."""
