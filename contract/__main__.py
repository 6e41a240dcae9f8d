"""``python -m contract`` is the command ``contract``."""

from contract.cli import main

if __name__ == "__main__":
    main()
