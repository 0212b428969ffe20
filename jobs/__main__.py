"""`python -m raygan.jobs ...` is `raygan ...`, for a job whose code was sent and which has no script of that name."""

from raygan.jobs.cli import main

main()
