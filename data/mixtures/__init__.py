"""One dataset made of several, each labelled for some of the tasks."""
