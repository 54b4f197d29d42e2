"""Freezing results: writing what figures and tables need of finished runs to small files with their
provenance. `msam_lib.results` reads them.
"""
