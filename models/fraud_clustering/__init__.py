"""Rings: accounts whose avatars show one face, found among the faces held, one change at a time.

Pure: no clock, no store. What stands is a function of the faces held alone, whatever way led there: likenesses are
whole numbers that no order of adding changes (`likeness_graph`), and so are the rules (`clusters`, `rings`).
"""
