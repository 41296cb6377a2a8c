"""One module for each kind of input; every record is a row, and a row that is no document has a reason."""
