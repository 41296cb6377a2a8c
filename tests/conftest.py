def pytest_make_parametrize_id(config, val, argname):
    """Names packed bytes by their argument: gzip writes the time into them, and every process of a
    parallel run must collect the same names. None: pytest's own name."""
    return argname if isinstance(val, bytes) and not val.isascii() else None
