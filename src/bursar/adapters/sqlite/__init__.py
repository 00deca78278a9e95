"""What stores in SQLite files share.

kind.py        what a store is called, and how its files are told from others
connection.py  opening a file, and what its errors mean to whoever must mend them
migration.py   bringing a file to the newest schema
erasing.py     deleting so that no byte stays behind
scripts.py     runs the steps of a store's migrations
"""
