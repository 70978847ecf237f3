"""What all pages for browsers share: those of signing in, which the service makes, and those of `environments.ui`.

Reading what a browser sends, telling whether one of our own pages has sent it, and the headers of each answer.
"""
