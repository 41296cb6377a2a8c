"""Files of servers and object stores: looked up, listed, and read by ranges. Imported only where a recipe names one."""
