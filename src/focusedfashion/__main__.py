"""`python -m focusedfashion`."""

import sys

from focusedfashion.cli import main

sys.exit(main())
