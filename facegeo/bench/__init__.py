"""How fast facegeo is: candidates timed in turn, in one table, beside what people use now."""
