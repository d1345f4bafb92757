"""`python -m audiomae`, which `accelerate launch -m audiomae` and `torchrun -m audiomae` use."""

from audiomae.cli.main import start

if __name__ == "__main__":
    start()
