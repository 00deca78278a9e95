"""What a batch touches outside: its journal, its files, and whoever answers its calls."""
