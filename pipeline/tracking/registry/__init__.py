"""The model registry.

`register` creates versions and chooses the champion; `package` writes the folder of a model, with the `code` that it
carries; `served` is the model once it is loaded.
"""
