"""Data sets of the fashion literature, each by the format that its authors publish."""
