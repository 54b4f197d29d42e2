"""Every figure and table that this project regenerates, from frozen results alone. No torch.

>>> from msam_lib.figures.registry import ITEMS
>>> ITEMS["surfaces_late"].paper_reference
'Figure 1'
"""
