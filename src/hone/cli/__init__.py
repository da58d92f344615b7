"""The command line: one file per verb, each importing what is heavy only when it runs."""
