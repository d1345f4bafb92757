"""`python -m audiomae`, which `accelerate launch -m audiomae` and `torchrun -m audiomae` use."""

import sys

from audiomae.cli import main

if __name__ == "__main__":
    sys.exit(main())
