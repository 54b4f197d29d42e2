"""`python -m msam_lib`: the command line."""

from msam_lib.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
