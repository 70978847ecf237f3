"""A simulated service that decides about destroys: real stores, scheduler and use cases, a world of faults around them.

`truth` knows what people really want and when it is; `oracle` judges each destroy by that alone and imports nothing of
the product that decides. `world` has the product and the faults, `dice` plays with both.
"""
