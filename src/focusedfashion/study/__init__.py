"""Studies: encoders and recipes compared on one source, as figures and as one page; pictures in clusters."""
