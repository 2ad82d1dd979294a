"""What several tests need: people, voices and files that nobody has, and programs to be killed."""

from pathlib import Path

HELPERS = Path(__file__).parent  # programs that tests start as processes
