"""Writing frozen results: what figures and tables need of finished runs, in small files with their
provenance. `msam_lib.results` reads them.
"""
