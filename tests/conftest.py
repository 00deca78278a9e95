"""What several suites share stands beside this file, which puts the folder on the import path."""
