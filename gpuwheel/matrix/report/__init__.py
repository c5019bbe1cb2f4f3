"""What came of a run: a document for machines, and a page for people."""
