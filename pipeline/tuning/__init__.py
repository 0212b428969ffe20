"""Ray Tune around Ray Train: many runs of one configuration, each with other values in some fields.

`space` is what varies, `search` what was asked, `study` what was tried and what came of it. The `coordinator` in the
driver hands out trials, `trial` is what runs elsewhere, and `tune` brings them together; `ranking` and `plots` say
what was found.
"""
