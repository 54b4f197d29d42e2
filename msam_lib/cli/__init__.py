"""The command line: `python -m msam_lib`."""
