"""A plan as people and programs read it: a table, all of one cell, a document, a page."""
