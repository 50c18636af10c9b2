"""What generated programs found: the smallest one for each mistake, and what was wrong."""
