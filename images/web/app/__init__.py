"""The example service: a page over HTTPS that shows its configuration and proves that it has its secret.

Standard library only, so that the image is Python and these files. Each setting is an environment variable
(`app.settings` lists them) or the flag of the same name.
"""
