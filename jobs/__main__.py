"""`python -m jobs ...` is `raygan ...`, for a job whose code has travelled and which has no script of that name."""

from jobs.cli import main

main()
