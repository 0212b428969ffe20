"""Hyperparameter search: Ray Tune runs many trials of one configuration, each with other values in some fields.

`space` says what varies, `search` what was asked for; `study` holds the trials and their scores. In the driver, `tune`
connects Ray Tune with the `coordinator`, which hands out trials; `trial` is what runs in their processes, and `monitor`
takes its events to the driver. `ranking`, `plots` and `results` are what a finished search leaves; `recording` writes
to MLflow.
"""
