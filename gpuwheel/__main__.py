"""`python -m gpuwheel`."""

from gpuwheel.cli import main

if __name__ == "__main__":
    main()
